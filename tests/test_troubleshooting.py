"""The page on troubleshooting has a row for each thing that `diagnose` and the reasons can say."""

import ast
import re
from collections.abc import Iterator
from typing import get_args

import pytest

from longllama_code.protocol import EmptyReason
from longllama_code.source_files.source_text import Exclusion
from lsp_server import problems
from lsp_server.indexing import reindex_policy
from lsp_server.status import describe
from lsp_server.suggestions.filters import Refusal
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
EXTENSION = ROOT / "editor-client" / "vscode" / "src" / "reasons.ts"
IN_LOOP = {"name", "problem.part.name"}
"""Names of checks that are no literals: of a check that raised, and of a part that is missing."""


def rows(heading: str) -> set[str]:
    """What stands in backquotes in the first cells of a table."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def checks() -> Iterator[str]:
    """The first argument of each `Check(…)` of the server."""
    for path in (ROOT / "lsp_server").rglob("*.py"):
        text = path.read_text("utf-8")
        if "Check(" in text:
            yield from checks_in(ast.parse(text))


def checks_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Check":
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)
            else:
                assert ast.unparse(name) in IN_LOOP, ast.unparse(name)


def test_each_check_of_diagnose_has_a_row() -> None:
    parts = {part.name for part in vars(problems).values() if isinstance(part, problems.Part)}
    found = set(checks())
    assert {"python", "store", "client"} <= found
    assert "battery" in parts
    assert rows("What `diagnose` checks") == found | parts


def test_each_reason_for_no_suggestion_has_a_row() -> None:
    of_extension = re.findall(r"^  (\w+):", EXTENSION.read_text("utf-8"), re.MULTILINE)
    known = {*describe.REASONS, *get_args(EmptyReason), *get_args(Refusal)}
    assert rows("Why nothing is suggested") == known
    assert set(of_extension) == known


def test_each_reason_for_a_file_that_is_left_out_has_a_row() -> None:
    of_policy = {reindex_policy.BUDGET, reindex_policy.FAILED, reindex_policy.CRASHES_ENGINE}
    known = {exclusion.value for exclusion in Exclusion} | of_policy
    assert rows("Why a file is not in memory") == known


@pytest.mark.parametrize("code", sorted({*get_args(Refusal)}))
def test_each_refusal_is_described(code: str) -> None:
    assert code in describe.REASONS


def test_a_check_that_has_no_row_would_be_found() -> None:
    assert list(checks_in(ast.parse('diagnosis.Check("new", "ok", found)'))) == ["new"]
