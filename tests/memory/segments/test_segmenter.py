"""Cuts cover the text, respect the limit, and stay where they were when the text is edited."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import longllama_code
from longllama_code.memory.segments.segmenter import Limits, Slice, cut, line_at
from longllama_code.tokenizers.tokenizer import ByteTokenizer

SOURCES = sorted(Path(longllama_code.__file__).parent.rglob("*.py"))
TOKENIZER = ByteTokenizer()
LIMITS = Limits(min_tokens=400, max_tokens=1600)

line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\f", "\u2028", "\x85"])
words = st.sampled_from(["x", "def f(x):", ")", "}", "é😀", "\ud800", "word " * 9, "\t", "    "])
indents = st.integers(0, 6).map(lambda n: " " * n)
texts = st.lists(st.tuples(indents, words, line_ends).map("".join), max_size=60).map("".join)


def pieces(text: str, limits: Limits = LIMITS) -> list[Slice]:
    return cut(text, TOKENIZER.encode_lines, limits)


def parts(text: str, limits: Limits = LIMITS) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces(text, limits)]


def line_of(text: str, offset: int) -> int:
    """As the protocol counts: form feeds and separators are characters like others."""
    in_pair = text[offset] == "\n" and text[:offset].endswith("\r")
    return len(re.findall("\r\n|\n|\r", text[:offset])) - in_pair


@settings(deadline=None)
@given(text=st.one_of(texts, st.text()), low=st.integers(1, 40), spare=st.integers(0, 40))
@example(text="", low=1, spare=0)
@example(text="x\n\nyyyyy\n", low=4, spare=4)  # together one token too many
@example(text="é" * 50, low=1, spare=4)
def test_slices_cover_the_text(text: str, low: int, spare: int) -> None:
    limits = Limits(low, max(low + spare, 4))
    slices = pieces(text, limits)
    assert "".join(parts(text, limits)) == text
    assert [piece.start for piece in slices[1:]] == [piece.end for piece in slices[:-1]]
    for piece in slices:
        part = text[piece.start : piece.end]
        assert 0 < len(TOKENIZER.encode(part)) <= limits.max_tokens
        assert piece.first_line == line_of(text, piece.start)
        assert piece.last_line == line_of(text, piece.end - 1)


@given(text=texts)
def test_line_at(text: str) -> None:
    offsets = range(len(text))
    assert [line_at(text, at) for at in offsets] == [line_of(text, at) for at in offsets]


def changes(path: Path) -> Iterator[int]:
    """New segments after each of many edits: a line removed, doubled, or replaced."""
    text = path.read_text()
    lines, former = text.splitlines(keepends=True), parts(text)
    for number in range(0, len(lines), 7):
        indent = lines[number][: -len(lines[number].lstrip()) or None]
        for new in ([], [lines[number]] * 2, [f"{indent}another = line\n"]):
            edited = parts("".join([*lines[:number], *new, *lines[number + 1 :]]))
            kept = difflib.SequenceMatcher(None, former, edited, autojunk=False)
            yield len(edited) - sum(block.size for block in kept.get_matching_blocks())


def test_an_edit_moves_few_cuts() -> None:
    """One segment in nine edits of ten, and the cuts after it are found again."""
    counts = sorted(n_changed for path in SOURCES for n_changed in changes(path))
    assert len(counts) > 1000
    assert counts[int(0.85 * len(counts))] == 1
    assert counts[int(0.95 * len(counts))] <= 2


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_definitions_that_fit_stay_whole(path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines(keepends=True)
    starts = {piece.first_line for piece in pieces(text)}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            body = range(node.lineno - 1, node.end_lineno)
            end = node.end_lineno
            while end < len(lines) and not lines[end].strip():  # it takes the blank lines with it
                end += 1
            n_tokens = len(TOKENIZER.encode("".join(lines[node.lineno - 1 : end])))
            assert n_tokens > LIMITS.max_tokens or not starts & {*body[1:]}


def test_definitions_of_our_sources_are_seen() -> None:
    """The law above speaks of something: many definitions, many of them where a segment starts."""
    text = max((path.read_text() for path in SOURCES), key=len)
    lines = text.splitlines()
    first = [lines[piece.first_line] for piece in pieces(text)]
    assert len(first) > 5
    assert sum(line.lstrip().startswith(("def ", "class ", "@", "async ")) for line in first) > 3


def test_a_staircase_of_indents_is_no_recursion() -> None:
    """Each step is a block inside the last: as deep as a file of a hostile repository likes."""
    text = "".join(f"{' ' * step}x = 1\n\n" for step in range(700))
    assert "".join(parts(text, Limits(20, 40))) == text
