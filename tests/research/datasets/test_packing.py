"""Packed rows: files behind each other, of which the text alone is predicted and stored."""

import random
from itertools import pairwise
from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.memory.segments.identity import path_header
from longllama_code.research.datasets.corpus import Corpus, Focus
from longllama_code.research.datasets.packing import MIN_TEXT_TOKENS
from longllama_code.research.datasets.rows import Row
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.training.batch import collate
from longllama_code.research.training.cross_batch import PUBLISHED_7B, plan_rows
from longllama_code.tokenizers.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
NAMES = ["a/x.py", "a/y.py", "a/z.py", "b/x.py", "b/y.py", "main.py", "setup.py"]
TEXTS = st.text("ab =\n\u00e9", min_size=1, max_size=400)
TREES = st.lists(
    st.dictionaries(st.sampled_from(NAMES), TEXTS, min_size=2), min_size=1, max_size=3
).map(lambda texts: [SourceTree(f"r{n}", each) for n, each in enumerate(texts)])


def packed(trees: list[SourceTree], row_tokens: int, focus: Focus | None = None) -> Corpus:
    return Corpus(trees, TOKENIZER, row_tokens, 1, focus, InfillMarks((254,), (255,)), packed=True)


def parts(row: Row) -> list[tuple[str, str]]:
    """What each header says but the marks before it, and the bytes of the text behind it."""
    starts = [*(start for start, _ in row.heads), len(row.ids)]
    found: list[tuple[str, str]] = []
    for (start, end), (_, stop) in zip(row.heads, pairwise(starts), strict=True):
        head, text = row.ids[start:end], row.ids[end:stop]
        found.append((TOKENIZER.decode(head).rpartition("# ")[2], TOKENIZER.decode(text)))
    return found


def is_cut_from(part: str, text: str) -> bool:
    """A row may end within a character."""
    return part.rstrip("\N{REPLACEMENT CHARACTER}") in text


@settings(deadline=None)
@given(TREES, st.integers(80, 300), st.integers(0, 50), st.sampled_from([0.0, 1.0]))
def test_laws(trees: list[SourceTree], row_tokens: int, step: int, infill: float) -> None:
    """Rows fit; what counts is text of the file that the header names; no file comes twice."""
    focus = Focus(infill=infill)
    rows = packed(trees, row_tokens, focus).rows(step, len(trees), 2)
    plain = Corpus(trees, TOKENIZER, row_tokens, 1, focus, InfillMarks((254,), (255,)))
    shown: list[tuple[int, str]] = []
    for row, before in zip(rows, plain.rows(step, len(trees), 2), strict=True):
        assert len(row.ids) <= row_tokens
        assert row.ids[: len(before.ids)] == before.ids
        assert row.heads[:1] == before.heads
        texts = trees[row.repository].texts
        (_, first), *others = parts(row)
        assert is_cut_from(first, texts[row.path])
        for header, text in others:
            path = header.removesuffix("\n")
            assert texts[path].startswith(text.rstrip("\N{REPLACEMENT CHARACTER}"))
            shown.append((row.repository, path))
    assert len(set(shown)) == len(shown)
    assert not {(row.repository, row.path) for row in rows} & set(shown)


@settings(deadline=None)
@given(TREES, st.integers(0, 50))
def test_text_alone_is_predicted_and_stored(trees: list[SourceTree], step: int) -> None:
    rows = packed(trees, 200).rows(step, len(trees), 2)
    rng = random.Random(step)
    plan = plan_rows([row.repository for row in rows], PUBLISHED_7B, rng, chained=False)
    batch = collate(rows, plan, rng)
    for index, row in enumerate(rows):
        heads = {at for start, end in row.heads for at in range(start, end)}
        counted = [at not in heads for at in range(len(row.ids))]
        missing = [False] * (batch.ids.shape[1] - len(row.ids))
        assert batch.stored[index].tolist() == counted + missing
        assert (batch.weights[index] > 0).tolist() == counted + missing


def test_files_of_the_folder_come_first_and_in_random_order() -> None:
    texts = {f"{folder}/{n}.py": f"{folder}{n} = {n}\n" for folder in "ab" for n in range(6)}
    orders: set[tuple[str, ...]] = set()
    for step in range(20):
        (row,) = packed([SourceTree("r", texts)], 240).rows(step, 1, 1)
        folders = [PurePosixPath(header).parent.name for header, _ in parts(row)]
        own = folders[0]
        assert folders == sorted(folders, key=lambda folder: folder != own)
        assert folders.count(own) == 6 < len(folders)
        orders.add(tuple(header for header, _ in parts(row)))
    assert len(orders) > 10


def test_a_row_ends_rather_than_begin_a_file_with_hardly_any_text() -> None:
    texts = {"a.py": "a = 1\n" * 20, "b.py": "b = 2\n" * 20}
    n_own = 1 + len(path_header("a.py")) + len(texts["a.py"])
    n_least = n_own + len(path_header("b.py")) + MIN_TEXT_TOKENS
    for row_tokens, n_heads in ((n_least - 1, 1), (n_least, 2)):
        (row,) = packed([SourceTree("r", texts)], row_tokens).rows(0, 1, 1)
        assert len(row.heads) == n_heads


def test_a_header_begins_a_line() -> None:
    texts = {"a.py": "a = 1", "b.py": "b = 2"}
    (row,) = packed([SourceTree("r", texts)], 96).rows(0, 1, 1)
    assert "\n# " in TOKENIZER.decode(row.ids)[1:]
    assert [text for _, text in parts(row)] in ([*texts.values()], [*texts.values()][::-1])
