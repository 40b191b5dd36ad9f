"""Rows: what they hold, and that they are functions of seed and step."""

import random
import re

import pytest
import torch

from longllama_code.errors import ConfigError
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.memory.segments.identity import path_header
from longllama_code.research.datasets.corpus import Corpus, Focus
from longllama_code.research.datasets.rows import Row
from longllama_code.research.datasets.sources import SourceTree, hold_out
from longllama_code.research.training.batch import collate
from longllama_code.research.training.cross_batch import CrossBatchPlan
from longllama_code.tokenizers.tokenizer import ByteTokenizer

TOKENIZER = ByteTokenizer()
USER = "from store import open_segment\n\n" + "open_segment(1)\n" * 30
STORE = "def open_segment(number):\n" + "    number += 1\n" * 30
OTHER = "class Unrelated:\n" + "    value = 1\n" * 40


def tree(name: str) -> SourceTree:
    texts = {"user.py": USER, "store.py": STORE}
    others = {f"other_{n}.py": f"# {name} {n}\n{OTHER}" for n in range(8)}
    return SourceTree(name, texts | others)


def corpus(seed: int = 1) -> Corpus:
    return Corpus([tree("a"), tree("b"), tree("c")], TOKENIZER, 96, seed)


def test_rows_are_a_function_of_seed_and_step() -> None:
    assert corpus().rows(5, 2, 3) == corpus().rows(5, 2, 3)
    assert corpus().rows(5, 2, 3) != corpus().rows(6, 2, 3)
    assert corpus().rows(5, 2, 3) != corpus(seed=2).rows(5, 2, 3)


def test_rows_stand_behind_their_header_and_fit() -> None:
    for row in corpus().rows(0, 3, 4):
        assert len(row.ids) <= 96
        head = [TOKENIZER.bos_id, *TOKENIZER.encode(path_header(row.path))][:24]
        assert row.heads == ((0, len(head)),)
        assert row.ids[: len(head)] == head


def test_repositories_of_a_step_differ() -> None:
    for step in range(20):
        rows = corpus().rows(step, 2, 4)
        assert len({row.repository for row in rows}) == 2


def test_files_that_share_names_meet_more_often() -> None:
    """Among ten files, two name each other's definitions."""
    met = alone = 0
    drawn = corpus()
    for step in range(300):
        first, second = (row.path for row in drawn.rows(step, 1, 2))
        if first == "user.py":
            met += second == "store.py"
            alone += second != "store.py"
    assert met > alone / 4  # by chance: a ninth


def focused(focus: Focus, marks: InfillMarks | None = None) -> Corpus:
    return Corpus([tree("a"), tree("b"), tree("c")], TOKENIZER, 96, 1, focus, marks)


def test_rows_are_cut_around_names_that_they_share() -> None:
    """The name stands at the end of a long file, where few windows look."""
    filler = "".join(f"    x{n} = {n}\n" for n in range(300))
    texts = {
        "user.py": USER,
        "late.py": f"def early():\n{filler}def open_segment():\n" + filler[:400],
    }

    def found(focus: Focus) -> int:
        corpus = Corpus([SourceTree("one", texts)], TOKENIZER, 96, 1, focus)
        pairs = [corpus.rows(step, 1, 2) for step in range(60)]
        late = [row for pair in pairs for row in pair[1:] if row.path == "late.py"]
        return sum("open_segment" in TOKENIZER.decode(row.ids) for row in late)

    assert found(Focus(names=1.0)) > 3 * found(Focus()) > 0


def test_a_shared_name_may_stand_within_a_word() -> None:
    texts = {f"{name}.py": f"{name} = 0xABCDEF01\n" * 60 for name in ("a", "b")}
    corpus = Corpus([SourceTree("one", texts)], TOKENIZER, 96, 1, Focus(names=1.0))
    assert all("xABCDEF01" in TOKENIZER.decode(row.ids) for row in corpus.rows(0, 1, 2))


def test_no_row_repeats_a_file_while_there_are_others() -> None:
    for step in range(20):
        paths = [row.path for row in focused(Focus(names=1.0)).rows(step, 1, 5)]
        assert len(set(paths)) == 5


def test_a_planted_constant_is_defined_in_one_row_and_stated_in_another() -> None:
    trees, names = [tree("a")], re.compile(r"\b[A-Za-z]+(?:_[A-Za-z]+)+\b")
    plain = Corpus(trees, TOKENIZER, 400, 1)
    planted = Corpus(trees, TOKENIZER, 400, 1, Focus(planted=1.0))
    for step in range(20):
        new = [set(names.findall(TOKENIZER.decode(row.ids))) for row in planted.rows(step, 1, 2)]
        known = set().union(
            *(names.findall(TOKENIZER.decode(row.ids)) for row in plain.rows(step, 1, 2))
        )
        assert (new[0] & new[1]) - known


def test_infill_rows_begin_with_what_follows_them() -> None:
    marks = InfillMarks((254,), (255,))
    source = {f"{name}.py": "".join(f"{name}{n:04}\n" for n in range(200)) for name in "xy"}
    corpus = Corpus([SourceTree("a", source)], TOKENIZER, 96, 1, Focus(infill=1.0), marks)
    for step in range(20):
        for row in corpus.rows(step, 1, 2):
            assert row.ids[:2] == [TOKENIZER.bos_id, 254]
            at = row.ids.index(255)
            header = TOKENIZER.encode(path_header(row.path))
            ((_, n_head),) = row.heads
            assert row.ids[at + 1 : n_head] == header
            text, suffix = row.ids[n_head:], row.ids[2:at]
            assert len(row.ids) == 96
            assert TOKENIZER.decode([*text, *suffix]) in source[row.path]


def test_infill_needs_marks() -> None:
    with pytest.raises(ConfigError, match="infill_marks"):
        focused(Focus(infill=0.5))


def test_a_corpus_needs_other_files() -> None:
    with pytest.raises(ConfigError, match="two files"):
        Corpus([SourceTree("one", {"a.py": USER})], TOKENIZER, 96, 1)
    with pytest.raises(ConfigError, match="repositories"):
        corpus().rows(0, 4, 1)


def test_holding_out() -> None:
    held, rest = hold_out(tree("a"), 0.25, random.Random(1))
    assert len(held.texts) == 2
    assert held.texts.keys() | rest.texts.keys() == tree("a").texts.keys()
    assert not held.texts.keys() & rest.texts.keys()


def test_collating_weighs_what_memory_holds_and_the_row_has_not_shown() -> None:
    rows = [Row([9, 1, 2, 3, 2, 3], ((0, 1),), 0, "a"), Row([9, 2, 3, 7], ((0, 1),), 0, "b")]
    sees = torch.tensor([[False, True], [False, False]])
    batch = collate(rows, CrossBatchPlan(sees), random.Random(1), recall_weight=3.0)
    assert batch.weights.tolist() == [[0, 1, 1, 3, 1, 1], [0, 1, 1, 1, 0, 0]]
    assert batch.stored.tolist()[1] == [False, True, True, True, False, False]
    assert batch.padding.sum() == 10


def test_a_sample_counts_for_all_positions() -> None:
    rows = [Row([9, *range(200)], ((0, 1),), 0, "a"), Row([9, 20, 21, 22], ((0, 1),), 0, "b")]
    plan = CrossBatchPlan(torch.tensor([[False, True], [False, False]]))
    batch = collate(rows, plan, random.Random(1), sampled_share=0.25)
    told = batch.weights[0, 22:24]  # 21 after 20 and 22 after 21 stand in the other row
    assert told.tolist() == [1, 1]
    drawn = batch.weights[0][batch.weights[0] > 1]
    assert 30 < len(drawn) < 70
    assert set(drawn.tolist()) == {4.0}
