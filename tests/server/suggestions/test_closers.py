"""A suggestion beside brackets, quotes and tags that the editor closed by itself.

Real lines are typed in an editor that closes them. Wherever it did, the rest of the line is
suggested; what comes out is the line.
"""

import inspect
import json.decoder
import re
import shutil
import string
import textwrap
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server import lsp_protocol, session
from lsp_server.suggestions.closers import fit_closers, is_within, trim_overlap
from tests.paths import DATA, ROOT
from tests.server.suggestions.closing_editor import ClosingEditor

PYTHON = [inspect.getsourcefile(each) or "" for each in (json.decoder, shutil, string, textwrap)]
OWN = [session.__file__, lsp_protocol.__file__]
CLIENT = ROOT / "editor-client"
TYPESCRIPT = [str(path) for path in sorted((CLIENT / "vscode" / "src").glob("*.ts"))]
LUA = [str(CLIENT / "neovim" / "lua" / "longllama.lua")]
SAMPLES = DATA / "closers"
SOURCES = {
    "python": [*PYTHON, *OWN],
    "typescript": TYPESCRIPT,
    "typescriptreact": [str(SAMPLES / "berths.tsx")],
    "lua": LUA,
    "go": [str(SAMPLES / "berths.go")],
    "rust": [str(SAMPLES / "berths.rs")],
    "java": [str(SAMPLES / "Berths.java")],
}
HAS_CHARACTERS = ("go", "rust", "java")
"""Languages in which an apostrophe is around one character."""
UNCLEAR = re.compile(r"""\\|(["'`])[^"'`]?[()\[\]{}<>"'`]\1""")
EXAMPLES = {
    "python": [
        "class MyErr(UsageError):",
        "    if isinstance(e, UsageError):",
        "def fun(ctx: Con):",
    ],
    "typescript": ['foo(`a ${b[1]} c`, { d: "e" });', "const [a, b] = f({ c: [d] }, (e) => e);"],
}


@cache
def lines(language: str) -> list[tuple[str, str]]:
    """Real lines, and the text before each.

    Without those that have patterns, or brackets and quotes as characters: no editor understands
    them, so nobody can say what it had left behind.
    """
    found = [("", line) for line in EXAMPLES.get(language, [])]
    for name in SOURCES[language]:
        before = ""
        for line in Path(name).read_text(encoding="utf-8").split("\n"):
            if line.strip() and len(line) <= 150 and not UNCLEAR.search(line):
                found.append((before, line))
            before += line + "\n"
    return found


def typed(language: str, text: str) -> ClosingEditor:
    """The editor of a line, of which a beginning was typed."""
    editor = ClosingEditor(closes_characters=language not in HAS_CHARACTERS)
    editor.type(text)
    return editor


def check(language: str, before: str, line: str, cut: int, length: int | None = None) -> None:
    """Accept the rest of a line, or a beginning of it, and type on to the line's end."""
    editor = typed(language, line[:cut])
    rest = line[cut:] if length is None else line[cut : cut + length]
    fit = fit_closers(rest, before + editor.before, editor.behind, language)
    assert is_within(editor.behind[: fit.n_replaced], fit.text)  # else no editor shows it
    editor.accept(fit.text, fit.n_replaced)
    assert line.startswith(editor.before)
    editor.type(line[len(editor.before) :])
    assert editor.line.startswith(line)
    # Closers of what the line leaves open stay, as they do for whoever types all of it.
    assert is_within(editor.line[len(line) :], typed(language, line).behind)


@pytest.mark.parametrize("language", SOURCES)
@given(data=st.data())
def test_the_rest_of_a_line_makes_the_line(language: str, data: st.DataObject) -> None:
    before, line = data.draw(st.sampled_from(lines(language)))
    for cut in range(len(line) - len(line.lstrip()), len(line)):
        check(language, before, line, cut)


@pytest.mark.parametrize("language", SOURCES)
@given(data=st.data())
def test_typing_on_behind_a_part_of_the_rest_makes_the_line(
    language: str, data: st.DataObject
) -> None:
    before, line = data.draw(st.sampled_from(lines(language)))
    cut = data.draw(st.integers(0, len(line) - 1))
    check(language, before, line, cut, data.draw(st.integers(1, len(line))))


def test_every_prefix_of_every_example() -> None:
    for language, examples in EXAMPLES.items():
        for line in examples:
            for cut in range(len(line)):
                check(language, "", line, cut)


snippets = st.text(alphabet="ab()[]{}<>/ '\"`\\,:;$#\n", max_size=20)


@given(snippets, snippets, snippets, st.sampled_from([*SOURCES, "ruby", ""]))
def test_what_is_shown_begins_what_was_written(
    text: str, before: str, behind: str, language: str
) -> None:
    line_suffix = behind.replace("\n", "")
    fit = fit_closers(text, before, line_suffix, language)
    assert text.startswith(fit.text)
    assert 0 <= fit.n_replaced <= len(line_suffix)
    assert is_within(line_suffix[: fit.n_replaced], fit.text)


@given(snippets, st.sampled_from(["", " ", "  "]))
def test_nothing_changes_at_the_end_of_a_line(text: str, blanks: str) -> None:
    assert fit_closers(text, "f(", blanks).text == text


@given(snippets, snippets)
def test_a_line_without_closers_is_overlapped_only(text: str, before: str) -> None:
    fit = fit_closers(text, before, "x, y")
    assert fit.n_replaced == 0
    assert not text.strip() or fit.text == trim_overlap(text, "x, y")


def test_a_line_that_nobody_wrote_is_not_read() -> None:
    assert fit_closers("a)", "(" * 1_000_000, ")").text == "a"
