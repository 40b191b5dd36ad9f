"""A row: a cursor, the text to write there, and definitions to see, all as token ids."""

from __future__ import annotations

from dataclasses import dataclass

from longllama_code.research.cursor_rows.spans import SpanKind


@dataclass(frozen=True)
class DefinitionIds:
    """Definitions of a file that memory holds as one.

    Attributes:
        repository: number of its repository in the shard.
        n_path: number of its first ids, which name its file.
        ids: its ids.
    """

    repository: int
    n_path: int
    ids: tuple[int, ...]


@dataclass(frozen=True)
class CursorRow:
    """A cursor of a file.

    Attributes:
        repository: number of its repository in the shard.
        kind: kind of what is to be written.
        local: ids of the open file: its path, the text after the cursor, the text before it.
        middle: ids of what is to be written, to its end.
        positives: numbers of the definitions that the cursor needs, best first.
        negatives: numbers of definitions of the same repository that it does not need.
    """

    repository: int
    kind: SpanKind
    local: tuple[int, ...]
    middle: tuple[int, ...]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]


@dataclass(frozen=True)
class RepositoryHead:
    """A repository of a shard.

    Attributes:
        name: its name.
        ids: ids that stand before every definition.
    """

    name: str
    ids: tuple[int, ...]
