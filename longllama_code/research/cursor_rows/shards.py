"""Shards: files of rows, each complete in itself and of bounded size.

    <name>.safetensors   int32 ids, one array for each part of the rows, and where each row's end
    shards.json          sources with licences and hashes, and the hash of each shard

Nothing in a shard is run or parsed as code: it holds numbers, and names as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from longllama_code.errors import CheckpointError
from longllama_code.research.cursor_rows.making import RepositoryRows
from longllama_code.research.cursor_rows.row import CursorRow, DefinitionIds, RepositoryHead
from longllama_code.research.cursor_rows.spans import SPAN_KINDS

MAX_SHARD_BYTES = 60_000_000
SUFFIX = ".safetensors"
METADATA = "shard"
ROW_BYTES = 64
"""Bytes of a row or a definition besides its ids, at most."""
RAGGED = ("heads", "definitions", "locals", "middles", "positives", "negatives")

Ints = NDArray[np.int32]


class Shard:
    """Rows and definitions that were read from a file.

    Args:
        arrays: the arrays of the file, by name.
        names: the repositories.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> None:
        self._arrays, self._names = arrays, names

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._arrays["repositories"])

    @property
    def n_definitions(self) -> int:
        """Number of definitions."""
        return len(self._arrays["definition_repositories"])

    def row(self, number: int) -> CursorRow:
        """Return a row; its numbers are those of this shard."""
        return CursorRow(
            int(self._arrays["repositories"][number]),
            SPAN_KINDS[self._arrays["kinds"][number]],
            self._part("locals", number),
            self._part("middles", number),
            self._part("positives", number),
            self._part("negatives", number),
        )

    def definition(self, number: int) -> DefinitionIds:
        """Return a definition."""
        return DefinitionIds(
            int(self._arrays["definition_repositories"][number]),
            int(self._arrays["n_path"][number]),
            self._part("definitions", number),
        )

    def head(self, repository: int) -> RepositoryHead:
        """Return a repository's name and head."""
        return RepositoryHead(self._names[repository], self._part("heads", repository))

    def _part(self, name: str, number: int) -> tuple[int, ...]:
        start, end = self._arrays[f"{name}.ends"][number : number + 2]
        return tuple(self._arrays[name][start:end].tolist())


class ShardWriter:
    """Writer of rows into as many shards as they need.

    Args:
        folder: an existing folder.
        stem: the beginning of the files' names.
        max_bytes: most bytes of a file.
    """

    def __init__(self, folder: Path, stem: str, max_bytes: int = MAX_SHARD_BYTES) -> None:
        self._folder, self._stem, self._max_bytes = folder, stem, max_bytes
        self._parts = _Parts()
        self.paths: list[Path] = []
        """Files that are written."""

    def add(self, repository: RepositoryRows) -> None:
        """Add the rows of a repository; those that do not fit go into the next shard."""
        for row in repository.rows:
            if self._parts.n_bytes + self._parts.cost(repository, row) > self._max_bytes:
                self.flush()
            self._parts.add(repository, row)

    def flush(self) -> None:
        """Write the rows so far, if there are any."""
        if self._parts.rows:
            path = self._folder / f"{self._stem}-{len(self.paths):03}{SUFFIX}"
            self._parts.write(path)
            self.paths.append(path)
        self._parts = _Parts()


class _Parts:
    """Rows of one shard, and what they name, with its numbers."""

    def __init__(self) -> None:
        self.n_bytes = 4096
        self.rows: list[CursorRow] = []
        self._heads: list[RepositoryHead] = []
        self._definitions: list[DefinitionIds] = []
        self._repositories: dict[str, int] = {}
        self._numbers: dict[tuple[str, int], int] = {}

    def cost(self, repository: RepositoryRows, row: CursorRow) -> int:
        """Return the bytes that a row adds."""
        name = repository.head.name
        named = (*row.positives, *row.negatives)
        new = {each for each in named if (name, each) not in self._numbers}
        ids = len(row.local) + len(row.middle) + len(named)
        ids += sum(len(repository.definitions[each].ids) for each in new)
        head = 0 if name in self._repositories else len(repository.head.ids) * 4 + 2 * len(name)
        return 4 * ids + ROW_BYTES * (2 + len(new)) + head

    def add(self, repository: RepositoryRows, row: CursorRow) -> None:
        """Add a row, its repository and its definitions."""
        self.n_bytes += self.cost(repository, row)
        number = self._repositories.setdefault(repository.head.name, len(self._heads))
        if number == len(self._heads):
            self._heads.append(repository.head)
        numbers = [
            tuple(self._number(repository, number, each) for each in part)
            for part in (row.positives, row.negatives)
        ]
        self.rows.append(CursorRow(number, row.kind, row.local, row.middle, *numbers))

    def _number(self, repository: RepositoryRows, number: int, definition: int) -> int:
        key = (repository.head.name, definition)
        if key not in self._numbers:
            found = repository.definitions[definition]
            self._numbers[key] = len(self._definitions)
            self._definitions.append(DefinitionIds(number, found.n_path, found.ids))
        return self._numbers[key]

    def write(self, path: Path) -> None:
        """Write a file."""
        ragged = {
            "heads": [each.ids for each in self._heads],
            "definitions": [each.ids for each in self._definitions],
            "locals": [each.local for each in self.rows],
            "middles": [each.middle for each in self.rows],
            "positives": [each.positives for each in self.rows],
            "negatives": [each.negatives for each in self.rows],
        }
        arrays: dict[str, NDArray[Any]] = {}
        for name, parts in ragged.items():
            arrays[name], arrays[f"{name}.ends"] = _joined(parts)
        of_definitions = self._definitions
        arrays["definition_repositories"] = _ints(each.repository for each in of_definitions)
        arrays["n_path"] = _ints(each.n_path for each in of_definitions)
        arrays["repositories"] = _ints(each.repository for each in self.rows)
        arrays["kinds"] = _ints(SPAN_KINDS.index(each.kind) for each in self.rows)
        names = json.dumps([each.name for each in self._heads])
        partial = path.with_suffix(".partial")
        save_file(arrays, partial, {METADATA: names})
        partial.replace(path)


def read_shard(path: Path) -> Shard:
    """Return a shard.

    Raises:
        CheckpointError: the file is damaged, or is no shard.
    """
    try:
        with safe_open(path, "np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            names: Any = json.loads((file.metadata() or {})[METADATA])
        _check(arrays, names)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as a shard ({error!r}); make it again with `longllama shards`."
        ) from error
    return Shard(arrays, names)


def _check(arrays: Mapping[str, NDArray[Any]], names: Any) -> None:
    """Refuse arrays that do not fit together.

    Raises:
        ValueError: saying which.
        KeyError: one is missing.
    """
    counts = {name: len(arrays[f"{name}.ends"]) - 1 for name in RAGGED}
    n_rows, n_definitions = counts["locals"], counts["definitions"]
    for name in RAGGED:
        ends = arrays[f"{name}.ends"]
        if ends[0] != 0 or ends[-1] != len(arrays[name]) or bool((np.diff(ends) < 0).any()):
            raise ValueError(f"{name} do not end where they should")
    of_rows = [counts[name] for name in ("middles", "positives", "negatives")]
    of_rows += [len(arrays["repositories"]), len(arrays["kinds"])]
    if {*of_rows} != {n_rows} or len(names) != counts["heads"]:
        raise ValueError("rows have different numbers of parts")
    for name, limit in (
        ("positives", n_definitions),
        ("negatives", n_definitions),
        ("repositories", counts["heads"]),
        ("definition_repositories", counts["heads"]),
        ("kinds", len(SPAN_KINDS)),
    ):
        if len(arrays[name]) and not 0 <= arrays[name].min() <= arrays[name].max() < limit:
            raise ValueError(f"{name} name what is not there")


def _joined(parts: Iterable[Sequence[int]]) -> tuple[Ints, NDArray[np.int64]]:
    """Return parts in one array, and the index where each begins, with the end."""
    kept = list(parts)
    ends = np.cumsum([0, *map(len, kept)], dtype=np.int64)
    return _ints(each for part in kept for each in part), ends


def _ints(numbers: Iterable[int]) -> Ints:
    return np.fromiter(numbers, dtype=np.int32)


def rows_of(shards: Sequence[Shard]) -> Iterator[tuple[int, int]]:
    """Yield the number of the shard and of the row in it, of all rows in order."""
    for number, shard in enumerate(shards):
        for row in range(shard.n_rows):
            yield number, row
