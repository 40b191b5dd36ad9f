"""Repository memory is a set of segments, whatever happened before; a view hides what is local."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from torch import Tensor

from longllama_code.generation import models
from longllama_code.memory.completion_memory import CompletionMemory, LocalText, _encoded_offsets
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.segments.segment import PAGE_TOKENS, EncodedSegment
from longllama_code.research.evaluation.memories import SegmentMemory

TINY = models.load("tiny")
CONFIG = TINY.model.config
BLOCKS = [f"def function_{n}(x):\n" + f"    x += {n}{n}\n" * (9 + n) for n in range(4)]
QUERY = torch.tensor([[256, *b"def f(x):\n    return "]])
N_HEADS = sum(len(CONFIG.memory_heads(layer)) for layer in CONFIG.mem_layers)


def encoder() -> SegmentEncoder:
    return SegmentEncoder(TINY.model, TINY.tokenizer, TINY.fingerprint, TINY.limits)


def empty() -> SegmentMemory:
    return SegmentMemory(TINY)


def put(memory: SegmentMemory, path: str, text: str) -> None:
    pieces = encoder().cut(text)
    header = path_header(path)
    encoded = [encoder().encode(header, text[piece.start : piece.end]) for piece in pieces]
    memory.take(path, text, pieces, encoded)


def filled(*files: tuple[str, str]) -> SegmentMemory:
    memory = empty()
    for path, text in files:
        put(memory, path, text)
    return memory


@torch.no_grad()
def logits(memory: RepositoryMemory, local: LocalText | None = None) -> Tensor:
    return TINY.model(QUERY, memory=CompletionMemory(memory, local)).logits


def close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-4)


class Machine(RuleBasedStateMachine):
    """Files of one-token segments whose rows can be told apart by their value."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = empty()
        self.held: dict[str, list[int]] = {}

    @rule(path=st.sampled_from("abc"), numbers=st.lists(st.integers(1, 12), max_size=5))
    def replace(self, path: str, numbers: list[int]) -> None:
        pieces = encoder().cut("x" * 9) * len(numbers)
        self.memory.take(path, "x" * 9, pieces, [numbered(number) for number in numbers])
        self.held[path] = numbers

    @rule(path=st.sampled_from("abcd"))
    def forget(self, path: str) -> None:
        assert self.memory.forget(path) == (self.held.pop(path, None) is not None)

    @invariant()
    def rows_are_the_union_of_what_is_held(self) -> None:
        union = {number for numbers in self.held.values() for number in numbers}
        assert self.memory.n_segments == len(union)
        assert self.memory.rows.n_tokens == sum(union)
        assert self.memory.files.keys() == self.held.keys()
        assert sorted(visible_rows(self.memory)) == sorted(n for n in union for _ in range(n))

    @invariant()
    def what_is_held_is_found_by_its_tokens(self) -> None:
        union = {number for numbers in self.held.values() for number in numbers}
        view = CompletionMemory(self.memory, None)
        for number in range(2, 13):
            match = view.match([number])
            assert (match is not None) == (number in union)
            if match is not None:
                assert match.followers.tolist() == [number] * (number - 1)
                assert match.length == 1

    @invariant()
    def gaps_are_few(self) -> None:
        assert len(self.memory.rows) <= self.memory.rows.n_tokens / 0.9

    @invariant()
    def state_is_a_function_of_the_segments(self) -> None:
        state = 0
        for number in {number for numbers in self.held.values() for number in numbers}:
            state ^= number
        assert self.memory.state == state


def numbered(number: int) -> EncodedSegment:
    """As many rows as the number, each of that value."""
    rows = torch.full((N_HEADS, number, CONFIG.head_dim), float(number))
    offsets = torch.arange(0, number + PAGE_TOKENS, PAGE_TOKENS).int()
    ids = torch.full((number,), number).int()
    return EncodedSegment(f"{number:032x}", rows, -rows, ids, offsets)


def visible_rows(memory: RepositoryMemory) -> Iterator[float]:
    if not len(memory.rows):
        return
    visible = memory.rows.visible([])
    rows = torch.arange(len(memory.rows))[slice(None) if visible is None else visible]
    form, records, positions = (
        memory.rows.record_format,
        memory.rows.records.rows,
        memory.rows.positions,
    )
    for head in range(N_HEADS):
        keys = form.keys(records, positions(rows), head)
        assert torch.equal(keys, -form.values(records, positions(rows), head))
        assert (keys == keys[:, :1]).all()
    yield from keys[:, 0].tolist()


TestMachine = Machine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=40, stateful_step_count=20)


def test_files_have_no_order() -> None:
    files = [(f"{name}.py", "\n".join(BLOCKS[n:])) for n, name in enumerate("abc")]
    assert close(logits(filled(*files)), logits(filled(*reversed(files))))
    assert not close(logits(filled(*files)), logits(filled(*files[1:])))


def test_forgetting_restores() -> None:
    memory = filled(("a.py", BLOCKS[0]))
    before, state, n_tokens = logits(memory), memory.state, memory.rows.n_tokens
    put(memory, "b.py", "\n".join(BLOCKS))
    assert not close(logits(memory), before)
    assert memory.forget("b.py")
    assert not memory.forget("b.py")
    assert close(logits(memory), before)
    assert (memory.state, memory.rows.n_tokens) == (state, n_tokens)
    assert memory.n_tokens("a.py") == n_tokens


def test_a_gap_is_not_seen() -> None:
    """Less than a tenth of the rows: they stay where they are, behind a mask."""
    long = "\n".join(BLOCKS * 4)
    memory = filled(("small.py", BLOCKS[0][:60]), ("long.py", long))
    memory.forget("small.py")
    assert len(memory.rows) == memory.rows.n_tokens + 60
    assert close(logits(memory), logits(filled(("long.py", long))))


def test_a_replaced_file_is_as_a_new_one() -> None:
    memory = filled(("a.py", "\n".join(BLOCKS)), ("b.py", BLOCKS[0]))
    put(memory, "a.py", "\n".join(BLOCKS[1:]))
    expected = filled(("b.py", BLOCKS[0]), ("a.py", "\n".join(BLOCKS[1:])))
    assert close(logits(memory), logits(expected))
    assert memory.state == expected.state


TEXT = "\n".join(BLOCKS)
EDITS: dict[str, Callable[[str], str]] = {
    "same": lambda text: text,
    "insertion": lambda text: text[:300] + "inserted = True\n" + text[300:],
    "deletion": lambda text: text[:300] + text[380:],
    "replacement": lambda text: text[:300] + "shorter" + text[380:],
    "crlf": lambda text: text.replace("\n", "\r\n"),
}


def hidden_characters(memory: RepositoryMemory, path: str, view: CompletionMemory) -> set[int]:
    """Characters of a file none of whose rows the view shows (one character, one token)."""
    of_layer = view.layer_view(2)
    file = memory.files[path]
    hidden: set[int] = set()
    for segment in file.segments:
        first, last = memory.rows.span(segment.id)
        shown = of_layer.visible[first:last] if of_layer.visible is not None else []
        hidden |= {segment.piece.start + at for at, seen in enumerate(shown) if not seen}
    return hidden


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize(("first", "last"), [(0, 200), (150, 320), (310, 500), (450, 10_000)])
def test_a_view_hides_the_pages_that_are_local(edit: str, first: int, last: int) -> None:
    """Every character that is local and was remembered, at most a page around; nothing else."""
    live = EDITS[edit](TEXT)
    local = LocalText("a.py", live, min(first, len(live)), min(last, len(live)))
    memory = filled(("a.py", TEXT), ("b.py", TEXT))
    view = CompletionMemory(memory, local)
    hidden = hidden_characters(memory, "a.py", view)
    start, end = _encoded_offsets(local, TEXT)
    wanted = set(range(start, end))
    assert wanted <= hidden
    assert all({*range(at - PAGE_TOKENS + 1, at + PAGE_TOKENS)} & wanted for at in hidden)
    assert not hidden_characters(memory, "b.py", view)
    assert view.fingerprint != CompletionMemory(memory, None).fingerprint


@pytest.mark.parametrize("path", ["b.py", "unknown.py"])
def test_a_view_hides_nothing_of_other_files(path: str) -> None:
    memory = filled(("a.py", TEXT))
    local = LocalText(path, TEXT, 0, len(TEXT))
    assert CompletionMemory(memory, local).layer_view(2).visible is None
    assert CompletionMemory(memory, local).fingerprint == CompletionMemory(memory, None).fingerprint


short = st.text(alphabet="ab\n", max_size=12)


@given(before=short, old=short, new=short, after=short, data=st.data())
def test_as_remembered(before: str, old: str, new: str, after: str, data: st.DataObject) -> None:
    """Against a mapping of single characters: those before and after the edit are the same ones."""
    live, remembered = before + new + after, before + old + after
    start = data.draw(st.integers(0, len(live)))
    end = data.draw(st.integers(start, len(live)))
    found = _encoded_offsets(LocalText("", live, start, end), remembered)
    n_before = common_length(live, remembered)
    n_after = common_length(live[n_before:][::-1], remembered[n_before:][::-1])
    if live == remembered:
        n_before, n_after = len(live), 0
    same = {at: at for at in range(n_before)}
    same |= {len(live) - at: len(remembered) - at for at in range(1, n_after + 1)}
    images = {same[at] for at in range(start, end) if at in same}
    reached = any(at not in same for at in range(start, end))
    touched = start <= len(live) - n_after and n_before <= end
    lagging = {*range(n_before, len(remembered) - n_after)}
    assert images | (lagging if reached else set()) <= {*range(*found)}
    assert {*range(*found)} <= images | (lagging if touched else set())


def common_length(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next(
        (at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other))
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=repr)
def test_sources_name_the_lines(line_end: str) -> None:
    """Mass on one row: the source is the page around it, in every file that has the segment."""
    text = TEXT.replace("\n", line_end)
    memory = filled(("a.py", text), ("b.py", text))
    for segment in memory.files["a.py"].segments:
        first, last = memory.rows.span(segment.id)
        for row in range(first, last, 7):
            view = CompletionMemory(memory, None)
            view._mass[row] = 0.5
            (source,) = view.sources(8)
            assert (source.path, source.mass) == ("a.py", 1.0)
            page = (row - first) // PAGE_TOKENS
            offsets = [segment.piece.start + at for at in segment.page_offsets[page : page + 2]]
            at_first, at_last = (
                line_number(text, at, line_end) for at in (offsets[0], offsets[1] - 1)
            )
            assert (source.first_line, source.last_line) == (at_first, at_last)


def line_number(text: str, offset: int, line_end: str) -> int:
    ends = [end for end in range(len(text)) if text.startswith(line_end, end)]
    return 1 + sum(end + len(line_end) <= offset for end in ends)


def test_attention_finds_what_it_looks_for() -> None:
    """A planted segment whose keys point where every query of a head points draws the mass."""
    memory = filled(("a.py", BLOCKS[0]), ("b.py", BLOCKS[1]))
    planted = next(iter(memory.files["b.py"].segments))
    first, last = memory.rows.span(planted.id)
    view = CompletionMemory(memory, None)
    view.records_attention = True
    position = int(memory.rows.positions()[last - 1])
    n_bytes = N_HEADS * CONFIG.head_dim * 4
    memory.rows.records.rows[position, :n_bytes].view(torch.float32).mul_(300.0)
    with torch.no_grad():
        TINY.model(QUERY, memory=view)
    for query in range(QUERY.shape[1]):
        view.count(query)
    assert float(view._mass[last - 1]) > float(view._mass[first : last - 1].max())
    sources = view.sources(2)
    assert sources[0].path == "b.py"
    assert sources[0].last_line == BLOCKS[1].count("\n")
    assert [source.mass for source in sources] == sorted((s.mass for s in sources), reverse=True)
