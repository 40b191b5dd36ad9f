"""Layout of definitions as memory: tokens of each part, and the positions where they stand."""

import subprocess
import sys
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from longllama_code.generation.prompting.definition_layout import (
    DefinitionLayout,
    excerpt_ids,
    head_ids,
)
from longllama_code.generation.prompting.infill import FAMILIES, InfillFamily, InfillMarks
from longllama_code.generation.prompting.prompt import Excerpt, PromptSource, build_prompt, opening
from longllama_code.tokenizers.tokenizer import ByteTokenizer
from tests.code_model import TOKENIZER

MARKS = InfillMarks.named(TOKENIZER)
LENGTHS = st.lists(st.integers(1, 40), max_size=6)


def marks_without_files(family: InfillFamily = FAMILIES[0]) -> InfillMarks:
    assert family.file is None
    return InfillMarks((3,), (4,), always=True)


def test_one_definition_gives_the_tokens_of_an_ordinary_prompt() -> None:
    for marks in (MARKS, marks_without_files()):
        assert marks is not None
        shown = Excerpt("pkg/a.py", "def f(x): ...")
        source = PromptSource("b.py", "f(", "\n", "port")
        head = head_ids("port", TOKENIZER, marks)
        excerpt = excerpt_ids(shown.path, shown.text, TOKENIZER, marks)
        with_it = replace(source, excerpts=(shown,))
        assert opening(with_it, TOKENIZER, marks) == head + excerpt
        alone, together = (build_prompt(s, TOKENIZER, 4000, marks) for s in (source, with_it))
        assert alone.ids[: len(head)] == head
        assert together.ids == head + excerpt + alone.ids[len(head) :]


def test_a_head_begins_with_the_first_token_of_every_text() -> None:
    marks = marks_without_files()
    assert head_ids("port", ByteTokenizer(), marks) == [ByteTokenizer.bos_id]


@given(st.integers(0, 9), LENGTHS)
def test_every_excerpt_stands_behind_the_head_and_before_the_file(
    n_head: int, lengths: list[int]
) -> None:
    layout = DefinitionLayout.of([0] * n_head, [[0] * length for length in lengths])
    positions = layout.positions
    assert len(positions) == layout.n_rows
    assert positions[:n_head] == [*range(n_head)]
    at = n_head
    for length in lengths:
        assert positions[at : at + length] == [*range(n_head, n_head + length)]
        at += length
    assert layout.top == max(positions, default=-1) + 1


@given(LENGTHS)
def test_the_order_of_the_excerpts_moves_no_other_position(lengths: list[int]) -> None:
    one, other = DefinitionLayout(3, tuple(lengths)), DefinitionLayout(3, tuple(lengths[::-1]))
    assert one.top == other.top
    assert sorted(one.positions) == sorted(other.positions)


def test_the_layout_needs_no_torch() -> None:
    code = (
        "import sys, longllama_code.generation.prompting.definition_layout\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
