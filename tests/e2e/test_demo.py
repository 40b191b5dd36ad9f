"""The demo, as a shell runs it, with an engine that answers from a script."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lsp_server.demo.sample import RENAMING, SAMPLE, sample_places
from tests.deadline import DEADLINE_S

PLACES = sample_places()
LEDGER = "class Ledger:\n    def post_harbour_dues(self, ship):\n        return ship\n"
BILL = "def bill(ledger, ship):\n    return ledger.post_harbour_dues(ship)\n"


def script(folder: Path, answers: list[dict[str, Any]]) -> list[str]:
    """Options for an engine that gives these answers."""
    file = folder / "answers.json"
    file.write_text(json.dumps({"answers": answers}))
    return ["--model", f"script:{file}", "--cache-dir", str(folder / "cache")]


def run(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "lsp_server", "demo", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=3 * DEADLINE_S,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        **options,
    )


def right_answers() -> list[dict[str, Any]]:
    """The ends of the sample's lines, given only where the file that defines them is in memory."""
    return [
        {
            "path": place.file,
            "before": re.escape(place.typed),
            "text": place.expected,
            "source": "shop/stock/warehouse.py",
        }
        for place in PLACES
    ]


def test_five_lines_are_typed_and_completed_beside_the_file_alone(tmp_path: Path) -> None:
    done = run(*script(tmp_path, [*right_answers(), {"text": "guess"}]))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    out = done.stdout
    for number, place in enumerate(PLACES, start=1):
        assert f"{number}/5 {place.file}:{place.line}: {place.about}" in out
        assert f"{place.typed}⟦{place.expected}⟧" in out
    assert out.count("      the file alone        guess\n") == 5
    assert "with the project: 5 of 5 right\nthe file alone: 0 of 5 right\n" in out
    assert "\x1b" not in out
    assert "longllama-lsp diagnose" in out[out.index("Next:") :]


def test_the_edited_definition_is_read_from_the_disk_before_the_last_question(
    tmp_path: Path,
) -> None:
    done = run(*script(tmp_path, right_answers()))
    edited = done.stdout[done.stdout.index("is edited on disk") :]
    assert f"{RENAMING.old} is now {RENAMING.new}" in edited
    assert re.search(r"the server had read the edit after \d+\.\d s", edited)
    assert RENAMING.old in (SAMPLE / RENAMING.file).read_text("utf-8")


def test_what_is_typed_in_stands_in_no_memory(tmp_path: Path) -> None:
    """An answer that needs the file of the line itself is given in neither folder."""
    own = [{**answer, "source": answer["path"]} for answer in right_answers()]
    done = run(*script(tmp_path, own))
    assert done.returncode == 1
    assert done.stdout.count("nothing (nothing_to_add)") == 2 * 5 + 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "harbour"
    root.mkdir()
    (root / "ledger.py").write_text(LEDGER)
    (root / "bill.py").write_text(BILL)
    return root


def test_a_line_of_ones_own_project(project: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_text() for path in project.iterdir()}
    answer = {"text": "post_harbour_dues(ship)", "source": "ledger.py"}
    done = run("bill.py:2", "--root", str(project), *script(tmp_path, [answer]))
    assert done.returncode == 0, done.stderr
    assert "    2     return ledger.⟦post_harbour_dues(ship)⟧" in done.stdout
    assert "with the project: 1 of 1 right\nthe file alone: 0 of 1 right" in done.stdout
    assert "drawn from            ledger.py:1-3" in done.stdout
    assert {path.name: path.read_text() for path in project.iterdir()} == before


def test_lines_of_ones_own_project_are_found(project: Path, tmp_path: Path) -> None:
    lines = "".join(f"FILLER_{number} = {number}\n" for number in range(25))
    (project / "bill.py").write_text(lines + BILL)
    done = run("--root", str(project), *script(tmp_path, [{"text": "post_harbour_dues(ship)"}]))
    assert done.returncode == 0, done.stderr
    assert "1/1 bill.py:27: post_harbour_dues of ledger.py" in done.stdout


def test_a_project_without_such_a_line_says_what_to_do(project: Path, tmp_path: Path) -> None:
    (project / "bill.py").unlink()
    done = run("--root", str(project), *script(tmp_path, []))
    assert done.returncode == 1
    assert "longllama-lsp demo --root FOLDER FILE:LINE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["bill.py:9"], "bill.py has no line 9"),
        (["gone.py:1"], "'gone.py' is no file in"),
        (["bill.py:"], "write FILE:LINE"),
        (["--root", "gone"], "'gone' is no folder"),
    ],
)
def test_what_cannot_be_shown_is_named(project: Path, arguments: list[str], why: str) -> None:
    done = run(*arguments, cwd=project)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of Unix")
def test_in_a_terminal_the_line_is_typed_and_the_ghost_text_is_grey(
    project: Path, tmp_path: Path
) -> None:
    from tests.e2e.terminal_screen import running

    answers = script(tmp_path, [{"text": "post_harbour_dues(ship)", "source": "ledger.py"}])
    command = [sys.executable, "-m", "lsp_server", "demo", "bill.py:2", *answers]
    with running(command, project, os.environ) as screen:
        screen.expect("2     return ledger.post_harbour_dues(ship)")
        screen.expect("It took")
        assert "⟦" not in screen.text
        assert "..." not in screen.text
