"""The live documents against an oracle that knows only whole texts, regexes and codecs."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsp_server.documents.document import Document, Documents, Edit, Position

# Line ends, what `str.splitlines` wrongly takes for line ends, and characters of every width in
# every encoding, half a surrogate pair included.
ALPHABET = ["\r\n", "\r", "\n", *"\v\f\x1c\x85\u2028", *"ab é€😀", "\ud83d", "\ude00"]
FALSE_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}

texts = st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join)
positions = st.builds(Position, st.integers(-1, 12), st.integers(-1, 12))
encodings = st.sampled_from(list(CODECS))
edits = st.builds(Edit, positions, positions, texts) | st.builds(Edit, st.none(), st.none(), texts)


def width(char, encoding):
    codec, size = CODECS[encoding]
    return len(char.encode(codec, "surrogatepass")) // size


def line_spans(text):
    """Return where each line starts and where its terminator starts."""
    ends = [match.span() for match in re.finditer(r"\r\n|\n|\r", text)]
    starts = [0, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def oracle_offset(text, position, encoding):
    spans = line_spans(text)
    if position.line >= len(spans):
        return len(text)
    offset, end = spans[max(position.line, 0)]
    left = position.character
    while offset < end and width(text[offset], encoding) <= left:
        left -= width(text[offset], encoding)
        offset += 1
    return offset


def oracle_position(text, offset, encoding):
    offset = min(max(offset, 0), len(text))
    spans = line_spans(text)
    line = max(number for number, (start, _) in enumerate(spans) if start <= offset)
    start, end = spans[line]
    return Position(line, sum(width(char, encoding) for char in text[start : min(offset, end)]))


def oracle_edit(text, edit, encoding):
    if edit.start is None:
        return edit.text
    low, high = sorted(oracle_offset(text, place, encoding) for place in (edit.start, edit.end))
    return text[:low] + edit.text + text[high:]


def opened(text):
    return Document("file:///a.py", "python", 1, text)


def all_positions(document, encoding):
    return [document.position(offset, encoding) for offset in range(len(document.text) + 1)]


@given(texts, positions, encodings)
def test_offset_of_any_position(text, position, encoding):
    assert opened(text).offset(position, encoding) == oracle_offset(text, position, encoding)


@given(texts, st.integers(-2, 50), encodings)
@example("a\nb", -1, "utf-16")
@example("a\nb", 4, "utf-16")
def test_position_of_any_offset(text, offset, encoding):
    assert opened(text).position(offset, encoding) == oracle_position(text, offset, encoding)


@given(texts, encodings)
@example("", "utf-16")
@example("a\r\nb", "utf-16")
@example("no newline at the end 😀", "utf-16")
def test_offsets_survive_the_round_trip(text, encoding):
    document = opened(text)
    for offset in range(len(text) + 1):
        inside_crlf = text[offset - 1 : offset + 1] == "\r\n"
        position = document.position(offset, encoding)
        assert document.offset(position, encoding) == offset - inside_crlf


@given(texts, st.lists(edits, max_size=8), encodings)
@example("a\nb", [Edit(Position(0, 0), Position(0, 0), "\n")], "utf-16")
def test_edits_in_order_give_the_oracle_s_text_and_lines(text, changes, encoding):
    document, expected = opened(text), text
    for version, edit in enumerate(changes, start=2):
        document.apply([edit], version, encoding)
        expected = oracle_edit(expected, edit, encoding)
        assert document.text == expected
        assert all_positions(document, encoding) == all_positions(opened(expected), encoding)


@given(texts, st.lists(edits, max_size=8), encodings)
def test_one_change_of_many_edits_is_many_changes(text, changes, encoding):
    document, expected = opened(text), text
    document.apply(iter(changes), 2, encoding)
    for edit in changes:
        expected = oracle_edit(expected, edit, encoding)
    assert (document.text, document.version) == (expected, 2)


@pytest.mark.parametrize("char", FALSE_LINE_ENDS)
def test_only_the_protocol_s_line_ends_end_lines(char):
    document = opened(f"a{char}b\nc")
    assert document.offset(Position(1, 0), "utf-32") == 4
    assert document.position(2, "utf-32") == Position(0, 2)


@pytest.mark.parametrize(
    ("before", "edit"),
    [
        ("a\rb", Edit(Position(1, 0), Position(1, 0), "\n")),
        ("a\nb", Edit(Position(0, 1), Position(0, 1), "\r")),
        ("a\rX\nb", Edit(Position(1, 0), Position(1, 1), "")),
    ],
)
def test_halves_that_meet_become_one_line_end(before, edit):
    document = opened(before)
    document.apply([edit], 2, "utf-16")
    assert document.text == "a\r\nb"
    assert document.position(3, "utf-16") == Position(1, 0)
    assert document.offset(Position(1, 1), "utf-16") == 4


def test_a_carriage_return_and_a_newline_typed_at_the_end_are_one_line_end():
    document = opened("a")
    typed = [Edit(Position(0, 1), Position(0, 1), "\r"), Edit(Position(1, 0), Position(1, 0), "\n")]
    document.apply(typed, 2, "utf-16")
    assert document.text == "a\r\n"
    assert document.position(3, "utf-16") == Position(1, 0)


@pytest.mark.parametrize(
    ("encoding", "character", "offset"),
    [
        *(("utf-8", character, 1) for character in (1, 2, 3, 4)),
        ("utf-8", 5, 2),
        *(("utf-16", character, 1) for character in (1, 2)),
        ("utf-16", 3, 2),
        ("utf-32", 1, 1),
        ("utf-32", 2, 2),
    ],
)
def test_the_middle_of_a_character_is_its_start(encoding, character, offset):
    assert opened("a😀b").offset(Position(0, character), encoding) == offset


@pytest.mark.parametrize(
    ("position", "offset"),
    [
        (Position(0, 3), 2),
        (Position(0, 99), 2),
        (Position(9, 0), 6),
        (Position(1, 99), 6),
        (Position(-1, 1), 1),
        (Position(1, -1), 4),
    ],
)
def test_positions_outside_the_document_are_clamped(position, offset):
    assert opened("ab\r\ncd").offset(position, "utf-16") == offset


def test_a_reversed_range_is_the_range():
    document = opened("one\ntwo")
    document.apply([Edit(Position(1, 1), Position(0, 2), "-")], 2, "utf-16")
    assert document.text == "on-wo"


def test_an_edit_without_an_end_inserts():
    document = opened("one\ntwo")
    document.apply([Edit(Position(1, 0), None, "and ")], 2, "utf-16")
    assert document.text == "one\nand two"


def test_a_keystroke_does_not_pay_for_the_whole_document():
    document = opened(("x" * 39 + "\n") * 20_000)
    place = Position(10_000, 3)
    began = time.process_time()  # other work on the machine is no failure
    for version in range(2, 1_002):
        document.apply([Edit(place, place, "y")], version, "utf-16")
    # A hundred times what it takes, a third of what splitting the text each time would.
    assert time.process_time() - began < 0.5


def test_text_and_version_of_before_an_edit_stay_as_they_were():
    document = opened("old")
    assert (document.uri, document.language) == ("file:///a.py", "python")
    version, text = document.version, document.text
    document.apply([Edit(None, None, "new")], 2, "utf-16")
    assert (version, text) == (1, "old")
    assert (document.version, document.text) == (2, "new")


def test_documents_are_kept_by_uri_from_open_to_close():
    documents = Documents()
    first = documents.open("a", "python", 1, "a")
    second = documents.open("b", "rust", 1, "b")
    assert list(documents) == [first, second]
    assert documents.get("b") is second
    assert documents.change("a", [Edit(None, None, "A")], 2, "utf-16") is first
    assert [document.text for document in documents] == ["A", "b"]
    assert documents.close("a") is first
    assert (len(documents), documents.get("a")) == (1, None)


def test_opening_again_replaces_the_document():
    documents = Documents()
    documents.open("a", "python", 7, "old")
    documents.open("a", "python", 1, "new")
    assert [(document.version, document.text) for document in documents] == [(1, "new")]


def test_a_document_that_is_not_open_is_no_error():
    documents = Documents()
    assert documents.change("a", [Edit(None, None, "A")], 2, "utf-16") is None
    assert documents.close("a") is None
    assert len(documents) == 0
