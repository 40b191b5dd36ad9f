"""Names and classes of lines in other languages than Python, on small planted projects."""

import importlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import tree_sitter

from longllama_code.__main__ import main
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.completion.lines import (
    CLASSIFIERS,
    cursors,
    names_of_many,
    project_of,
    read_names,
)
from longllama_code.research.evaluation.completion.repository import EvalOptions, evaluate
from longllama_code.research.evaluation.names import syntax_languages
from longllama_code.research.evaluation.names.reader import FileNames
from longllama_code.research.evaluation.names.syntax import SYNTAX_CLASSIFIERS
from longllama_code.research.evaluation.names.syntax_languages import Language
from tests.research.evaluation.forms import FORMS, IMPORTS, NO_IMPORTS
from tests.research.evaluation.planted import OTHERS, Planted
from tests.research.evaluation.planted_web import WEB

PROJECTS = {**WEB, **OTHERS}
KINDS = {"inproject-first": "first", "inproject": "shown"}
LANGUAGES = [one for one in vars(syntax_languages).values() if isinstance(one, Language)]

each_project = pytest.mark.parametrize("planted", PROJECTS.values(), ids=PROJECTS.keys())


def names_of(path: str, text: str) -> FileNames:
    names = read_names(path, text)
    assert names is not None
    return names


def kinds_of(planted: Planted) -> list[str]:
    """What each line of the held-out file is, in the words of ``Planted``."""
    project = project_of({planted.path: planted.text})
    names = names_of(planted.held_path, planted.held_text)
    found: dict[int, list[str]] = {}
    for cursor in cursors(planted.held_path, planted.held_text, project):
        found.setdefault(cursor.line, []).append(KINDS.get(cursor.kind, cursor.kind))
    kinds: list[str] = []
    for number, line in enumerate(planted.held_text.splitlines(), 1):
        of_line = found.get(number)
        if of_line is None:
            kinds.append("blank" if not line.strip() else "comment")
        else:
            assert of_line[-1] == "random"
            only = "import" if number in names.imports else "none"
            kinds.append(of_line[0] if len(of_line) == 2 else only)
    return kinds


@each_project
def test_each_line_has_its_class(planted: Planted) -> None:
    lines = planted.held_text.splitlines()
    assert list(zip(kinds_of(planted), lines, strict=True)) == list(
        zip(planted.kinds, lines, strict=True)
    )


@each_project
def test_what_others_can_refer_to_is_exported_with_its_lines(planted: Planted) -> None:
    exported = names_of(planted.path, planted.text).exported
    assert {one.path for one in exported} == {planted.path}
    assert [f"{one.name}:{one.first_line}-{one.last_line}" for one in exported] == (
        planted.exported.split()
    )


def lines_of(table: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (suffix, line.strip()) for suffix in table for line in table[suffix].strip().split("\n")
    ]


@pytest.mark.parametrize(("suffix", "form"), lines_of(FORMS))
def test_forms_of_definition(suffix: str, form: str) -> None:
    code, exported, local, *uses = (part.strip() for part in form.split("##"))
    code = f"package p\n{code}" if suffix == ".go" else code
    names = names_of(f"a{suffix}", f"{code}\n")
    assert [one.name for one in names.exported] == exported.split()
    assert names.bound == {*exported.split(), *local.split()}
    found = [use.name for use in names.uses if use.line > (suffix == ".go")]
    assert not uses or found == uses[0].split()


@pytest.mark.parametrize(("suffix", "line"), lines_of(IMPORTS))
def test_imports_bind_nothing(suffix: str, line: str) -> None:
    names = names_of(f"a{suffix}", f"\n{line}\n")
    assert names.imports == {2}
    assert not names.bound
    assert not names.exported


@pytest.mark.parametrize(("suffix", "line"), lines_of(NO_IMPORTS))
def test_what_looks_like_an_import_is_none(suffix: str, line: str) -> None:
    assert not names_of(f"a{suffix}", f"\n{line}\n").imports


@each_project
def test_every_name_that_gets_a_value_is_bound(planted: Planted) -> None:
    assert names_of(planted.held_path, planted.held_text).bound == set(planted.bound.split())


@each_project
def test_uses_stand_where_the_names_stand(planted: Planted) -> None:
    """Offsets are code points: characters of two and of four bytes stand before the names."""
    text = f"{planted.held_text}/* 😀é */ {planted.held_text}"
    uses = names_of(planted.held_path, text).uses
    assert [text[use.start : use.end] for use in uses] == [use.name for use in uses]
    assert [text[: use.start].count("\n") + 1 for use in uses] == [use.line for use in uses]
    assert sorted(uses, key=lambda use: use.start) == list(uses)
    assert uses[-1].line > len(planted.kinds)


@each_project
def test_a_file_that_breaks_off_is_read_up_to_there(planted: Planted) -> None:
    text = planted.held_text
    whole = names_of(planted.held_path, text)
    # Where it breaks off, and in the line before, the parser may take names for others.
    for n_lines in range(6, len(planted.kinds)):
        part = "".join(text.splitlines(keepends=True)[:n_lines]) + "((( {{{"
        names = names_of(planted.held_path, part)
        assert all(part[use.start : use.end] == use.name for use in names.uses)
        imports = {line for line in whole.imports if line < n_lines - 1}
        assert {line for line in names.imports if line < n_lines - 1} == imports


@each_project
def test_nothing_that_can_be_cut_out_crashes(planted: Planted) -> None:
    rng = random.Random(1)
    for _ in range(30):
        start, end = sorted(rng.choices(range(len(planted.held_text)), k=2))
        text = planted.held_text[:start] + planted.held_text[end:]
        names = read_names(planted.held_path, text)
        for use in () if names is None else names.uses:
            assert text[use.start : use.end] == use.name


@pytest.mark.parametrize("suffix", SYNTAX_CLASSIFIERS)
def test_what_is_of_no_language_is_not_read(suffix: str) -> None:
    nonsense = "§ £ ¥ ) ] } ¶ " * 30
    assert read_names(f"a{suffix}", nonsense) is None
    assert not list(cursors(f"a{suffix}", nonsense, project_of({f"b{suffix}": nonsense})))
    assert read_names(f"a{suffix}", "\x00\ud800") is None
    assert names_of(f"a{suffix}", "") == FileNames((), frozenset(), (), frozenset(), frozenset())


def test_a_missing_brace_does_not_cost_the_file() -> None:
    """Headers open ``extern "C" {`` under a condition: to the parser, it is never closed."""
    text = '#ifdef __cplusplus\nextern "C" {\n#endif\nint moor_vessel(int knots);\n' * 3
    assert {one.name for one in names_of("a.h", text).exported} == {"moor_vessel"}


def test_deep_nesting_does_not_exhaust_the_stack() -> None:
    text = f"const depth = {'[' * 5000}{']' * 5000};\n"
    assert names_of("a.js", text).bound == {"depth"}


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: f"{one.module}.{one.grammar}")
def test_the_tables_name_what_the_grammars_have(language: Language) -> None:
    """Without this, a slip of the pen in a table would only be a name that is never found."""
    grammar = tree_sitter.Language(
        getattr(importlib.import_module(language.module), language.grammar)()
    )
    places = language.binds | language.table_keys | language.variables | language.within
    types = language.functions | language.hides | language.with_body | language.skips
    types |= {place[0] for place in places} | language.imports.keys()
    known = {grammar.node_kind_for_id(number) for number in range(grammar.node_kind_count)}
    fields = {grammar.field_name_for_id(number) for number in range(grammar.field_count + 1)}
    assert types - known == set()
    assert {place[1] for place in places if place[1]} - fields == set()


def test_every_language_is_planted() -> None:
    planted = {CLASSIFIERS[Path(one.held_path).suffix] for one in PROJECTS.values()}
    used = planted | {CLASSIFIERS[".h"]}
    assert used == set(SYNTAX_CLASSIFIERS.values())


@pytest.mark.parametrize(
    ("suffix", "common", "rare"),
    [
        (".js", "console querySelector div describe", "moorVessel"),
        (".tsx", "Promise Partial useState", "Berth"),
        (".go", "Println len error", "MoorVessel"),
        (".rs", "unwrap Vec println derive", "moor_vessel"),
        (".java", "System println Override", "moorVessel"),
        (".h", "printf size_t vector push_back", "moor_vessel"),
    ],
)
def test_names_of_the_library_are_common(suffix: str, common: str, rare: str) -> None:
    classifier = CLASSIFIERS[suffix]
    assert [name for name in common.split() if not classifier.is_common(name)] == []
    assert not classifier.is_common(rare)
    assert not classifier.is_common("#")  # of the head of the list


def test_languages_do_not_share_their_names() -> None:
    """A method of Python is no definition of what TypeScript calls by the same name."""
    held = "moorVessel(3);\n"

    def kinds(path: str, text: str) -> set[str]:
        return {cursor.kind for cursor in cursors("held.ts", held, project_of({path: text}))}

    assert kinds("a.py", "def moorVessel(n): pass\n") == {"random"}
    assert kinds("a.go", "package a\nfunc moorVessel(n int) {}\n") == {"random"}
    assert kinds("a.js", "function moorVessel(n) {}\n") == {"inproject-first", "random"}


def test_names_of_many_repositories_are_counted() -> None:
    trees = [{"a.rs": "fn emit_all() {}\n"}] * 3 + [{"a.rs": "fn rare_name() {}\n"}]
    assert names_of_many(trees) == {"emit_all"}


@each_project
def test_names_of_many_repositories_are_not_asked_for(planted: Planted) -> None:
    project = project_of({planted.path: planted.text})
    project = replace(project, many=frozenset(project.definitions))
    found = list(cursors(planted.held_path, planted.held_text, project))
    assert found
    assert not any(cursor.kind.startswith("inproject") for cursor in found)


def test_a_suffix_without_its_dot_is_told_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["eval", "--model", "/nowhere", "--repo", str(tmp_path), "--suffix"]
    assert main([*arguments, "go"]) == 1
    assert "--suffix is 'go'" in capsys.readouterr().err


BEFORE = {f"src/m{number}.ts": f"src/m{(number - 1) % 6}.ts" for number in range(6)}


def typescript_tree() -> SourceTree:
    """Modules that each call the function of the module before."""
    texts: dict[str, str] = {}
    for path, before in BEFORE.items():
        called, name = (f"berthNumber{one[5]}" for one in (before, path))
        texts[path] = (
            f'import {{ {called} }} from "./{before[4:-3]}";\n'
            f"export function {name}(knots: number): number {{\n"
            f"  const local = {called}(knots) + 1;\n"
            "  return local;\n"
            "}\n"
        ) + f"// é {name[-1]}\n" * 60
    return SourceTree("harbour", texts)


def test_a_typescript_tree_is_evaluated(tiny: LoadedModel) -> None:
    options = EvalOptions(
        files=2, lines=4, windows=2, window_tokens=1000, conditions=("local", "own", "oracle")
    )
    results = evaluate(tiny, [typescript_tree()], options, lambda _: None)
    (site,) = results.sites
    shown = [row for row in results.lines if row.kind == "inproject"]
    asked = {path for path in site.held_out if BEFORE[path] in site.remembered}
    assert {row.path for row in shown} == asked != set()
    assert {(row.line, row.wanted[:18]) for row in shown} == {(3, "const local = bert")}
    assert {row.kind for row in results.lines} == {"inproject", "infile", "random"}
    local, own, oracle = (
        [row for row in shown if row.condition == condition]
        for condition in ("local", "own", "oracle")
    )
    assert len(local) == len(own) == len(oracle)
    # The definition that the oracle shows has more bytes than the model may answer with.
    assert all(one.tokens > other.tokens + 64 for one, other in zip(oracle, local, strict=True))
    assert any(row.project_tokens for row in results.windows)


def test_only_files_of_the_suffixes_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = typescript_tree()
    root = tmp_path / "harbour"
    for path, text in {**tree.texts, "src/noise.py": "noise = 1\n" * 60}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    (root / "src/extra.mts").write_text(tree.texts["src/m1.ts"].replace("1", "9"), "utf-8")
    arguments = ["eval", "--model", "tiny", "--repo", str(root), "--output", str(tmp_path / "out")]
    arguments += ["--suffix", ".ts", "--suffix", ".mts", "--files", "7", "--lines", "1"]
    assert main([*arguments, "--windows", "0", "--conditions", "local"]) == 0
    capsys.readouterr()
    report = json.loads((tmp_path / "out" / "eval.json").read_text("utf-8"))
    assert report["options"]["suffix"] == [".ts", ".mts"]
    (site,) = report["repositories"]
    assert {*site["held_out"], *site["remembered"]} == {*tree.texts, "src/extra.mts"}
