"""What the model sees of a row: definitions as memory, in the prompt, or not at all.

    memory    head | definition | definition …   each behind the head alone, all at one position
    prompt    head   definitions, file by file   one text, the best file last
    nothing   head

Behind them stands the open file, then what is to be written. Positions are those of the product
(``DefinitionLayout``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from longllama_code.errors import ConfigError
from longllama_code.generation.prompting.definition_layout import DefinitionLayout
from longllama_code.research.cursor_rows.row import CursorRow, DefinitionIds
from longllama_code.research.cursor_rows.shards import Shard, rows_of
from longllama_code.research.tuning.options import TuneOptions

Mode = Literal["memory", "prompt", "nothing"]
MODES: tuple[Mode, ...] = ("memory", "prompt", "nothing")
HEAD = 0
"""Owner of the head's tokens; definitions count from 1."""
MAX_TRIED = 64


@dataclass(frozen=True)
class RowInput:
    """Token ids of a row, and where they stand.

    Attributes:
        before: ids before the open file.
        positions: position of each of them.
        owners: number of the definition that each belongs to, or ``HEAD``.
        local: ids of the open file, and of what is to be written.
        top: position of the first of them.
        n_middle: number of the last of them that are to be written.
    """

    before: tuple[int, ...]
    positions: tuple[int, ...]
    owners: tuple[int, ...]
    local: tuple[int, ...]
    top: int
    n_middle: int

    @property
    def n_tokens(self) -> int:
        """Number of all tokens."""
        return len(self.before) + len(self.local)


@dataclass(frozen=True)
class Drawn:
    """A row as one step sees it: the student's input, and the teacher's."""

    mode: Mode
    student: RowInput
    teacher: RowInput


def rows_to_draw(shards: Sequence[Shard], options: TuneOptions) -> list[tuple[int, int]]:
    """Return the numbers of shard and row of all rows that a run may draw.

    Raises:
        ConfigError: there is none.
    """
    found = [(s, r) for s, r in rows_of(shards) if _may_be_drawn(shards[s], r, options)]
    if not found:
        raise ConfigError(
            f"no row has at least {options.least_middle_tokens} tokens to write and at most "
            f"{options.most_row_tokens} in all; change least_middle_tokens or most_row_tokens."
        )
    return found


def _may_be_drawn(shard: Shard, number: int, options: TuneOptions) -> bool:
    row = shard.row(number)
    n_tokens = row_input(shard, row, "prompt").n_tokens
    long_enough = len(row.middle) >= options.least_middle_tokens
    return long_enough and n_tokens <= options.most_row_tokens


def draw(shard: Shard, number: int, options: TuneOptions, rng: random.Random) -> Drawn:
    """Draw how a row is seen, and the definitions that it does not need.

    The teacher sees the same definitions in its prompt, but none that are not needed; where the
    student sees nothing, the teacher does not either.
    """
    row = shard.row(number)
    point = rng.random()
    mode: Mode = "memory"
    if point < options.without_memory:
        mode = "nothing"
    elif point < options.without_memory + options.in_prompt:
        mode = "prompt"
    negatives = draw_negatives(shard, row, options, rng) if mode == "memory" else []
    taught: Mode = "nothing" if mode == "nothing" else "prompt"
    return Drawn(mode, row_input(shard, row, mode, negatives), row_input(shard, row, taught))


def draw_negatives(
    shard: Shard, row: CursorRow, options: TuneOptions, rng: random.Random
) -> list[DefinitionIds]:
    """Draw definitions that a row does not need: of its repository, and of others."""
    own = [shard.definition(each) for each in rng.sample(row.negatives, len(row.negatives))]
    tried = rng.choices(range(shard.n_definitions), k=MAX_TRIED if shard.n_definitions else 0)
    foreign = [shard.definition(each) for each in dict.fromkeys(tried)]
    foreign = [each for each in foreign if each.repository != row.repository]
    return [
        *_within(own, options.own_negative_tokens),
        *_within(foreign, options.foreign_negative_tokens),
    ]


def row_input(
    shard: Shard, row: CursorRow, mode: Mode, negatives: Sequence[DefinitionIds] = ()
) -> RowInput:
    """Return what the model sees of a row.

    Args:
        shard: the shard that the row is of.
        row: the row.
        mode: where its definitions stand.
        negatives: definitions beside those that it needs; in memory alone.
    """
    head = shard.head(row.repository).ids
    positives = [shard.definition(each) for each in row.positives]
    if mode == "memory":
        return _in_memory(head, [*positives, *negatives], row)
    before = head if mode == "nothing" else (*head, *_as_prompt(positives))
    n_before = len(before)
    local = (*row.local, *row.middle)
    positions, owners = tuple(range(n_before)), (HEAD,) * n_before
    return RowInput(before, positions, owners, local, n_before, len(row.middle))


def _in_memory(
    head: tuple[int, ...], definitions: Sequence[DefinitionIds], row: CursorRow
) -> RowInput:
    layout = DefinitionLayout(len(head), tuple(len(each.ids) for each in definitions))
    before, owners = [*head], [HEAD] * len(head)
    for number, each in enumerate(definitions, HEAD + 1):
        before += each.ids
        owners += [number] * len(each.ids)
    local = (*row.local, *row.middle)
    positions = tuple(layout.positions)
    return RowInput(tuple(before), positions, tuple(owners), local, layout.top, len(row.middle))


def _as_prompt(positives: Sequence[DefinitionIds]) -> list[int]:
    """Return definitions as the prompt shows them: each file named once, the best one last."""
    files = dict[tuple[int, ...], list[DefinitionIds]]()
    for each in positives:
        files.setdefault(each.ids[: each.n_path], []).append(each)
    ids = list[int]()
    for path in reversed(files):
        ids += path
        for each in reversed(files[path]):
            ids += each.ids[each.n_path :]
    return ids


def _within(definitions: Sequence[DefinitionIds], n_tokens: int) -> list[DefinitionIds]:
    """Return the first definitions that fit."""
    taken = list[DefinitionIds]()
    for each in definitions:
        if len(each.ids) <= n_tokens:
            taken.append(each)
            n_tokens -= len(each.ids)
    return taken
