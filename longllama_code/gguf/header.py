"""The header of a GGUF file: metadata, and where each tensor lies.

    magic, version, counts │ metadata: key, type, value │ tensors: name, shape, type, place │ …

The file is mapped. Every size that it claims is compared with the file's own size first, so a
damaged or hostile file gives an error, never a long wait or a large allocation.
(``gguf.GGUFReader`` never returns from an array that claims 2**63 entries.)

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType
from numpy.typing import NDArray

from longllama_code.errors import CheckpointError
from longllama_code.json_text import as_json

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_HEADER_BYTES = 256 << 20
"""Bound on the memory that reading a header takes; larger than any real header."""
MOST_ENTRIES = 1 << 16
"""Maximum number of metadata entries, and of tensors."""
MOST_DIMENSIONS = 4
_ALIGNMENTS = tuple(1 << power for power in range(21))
_REMEDY = "It is damaged or was not fetched whole: fetch it again."

_SCALARS: Mapping[int, np.dtype[Any]] = {
    GGUFValueType.UINT8: np.dtype("<u1"),
    GGUFValueType.INT8: np.dtype("<i1"),
    GGUFValueType.UINT16: np.dtype("<u2"),
    GGUFValueType.INT16: np.dtype("<i2"),
    GGUFValueType.UINT32: np.dtype("<u4"),
    GGUFValueType.INT32: np.dtype("<i4"),
    GGUFValueType.UINT64: np.dtype("<u8"),
    GGUFValueType.INT64: np.dtype("<i8"),
    GGUFValueType.FLOAT32: np.dtype("<f4"),
    GGUFValueType.FLOAT64: np.dtype("<f8"),
    GGUFValueType.BOOL: np.dtype("?"),
}


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies in the file.

    Attributes:
        name: as llama.cpp calls it, ``blk.3.attn_q.weight``.
        shape: as numpy has it, the longest stride first: (rows, columns).
        kind: how its numbers are written.
        start: the first of its bytes in the file.
    """

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    start: int

    @property
    def row_bytes(self) -> int:
        """Size of one row in bytes: a whole number of blocks."""
        weights, size = GGML_QUANT_SIZES[self.kind]
        return self.shape[-1] // weights * size

    @property
    def n_bytes(self) -> int:
        """Size of all rows in bytes."""
        return math.prod(self.shape[:-1]) * self.row_bytes

    @property
    def end(self) -> int:
        """Offset of the byte behind its last one."""
        return self.start + self.n_bytes


@dataclass(frozen=True)
class Header:
    """A mapped GGUF file and its header.

    Attributes:
        path: the file.
        data: all of it, mapped.
        metadata: numbers, texts, lists of texts, and arrays of numbers, by key.
        tensors: every tensor, in the file's order; none reaches into another or past the end.
    """

    path: Path
    data: NDArray[np.uint8]
    metadata: Mapping[str, Any]
    tensors: tuple[TensorPlace, ...]

    @cached_property
    def by_name(self) -> Mapping[str, TensorPlace]:
        """Return the tensors by name."""
        return {place.name: place for place in self.tensors}

    def rows(self, place: TensorPlace) -> NDArray[np.uint8]:
        """Return the bytes of a tensor's rows, (rows, bytes per row), as a view of the file."""
        return self.data[place.start : place.end].reshape(-1, place.row_bytes)


def read_header(path: Path) -> Header:
    """Map a GGUF file and read its header.

    Raises:
        CheckpointError: the file cannot be read, is no GGUF, or contradicts itself.
    """
    try:
        data: NDArray[np.uint8] = np.asarray(np.memmap(path, np.uint8, "r"))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable GGUF file: {error}. Name a file that holds one."
        ) from error
    return _Parser(path, data).header()


def plain_entry(metadata: Mapping[str, Any], key: str, usual: Any = None) -> Any:
    """Return an entry that should be a number or a text; an array becomes a text that says so."""
    found = metadata.get(key, usual)
    return f"an array of {len(found)}" if isinstance(found, list | np.ndarray) else found


class _Parser:
    """Reads a header from its start; each step is checked against the bytes that are left."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self._path, self._data = path, data
        self._view = memoryview(cast("Any", data))
        self._at, self._end = 0, min(len(data), MOST_HEADER_BYTES)

    def header(self) -> Header:
        n_tensors, n_entries = self._counts()
        metadata = dict[str, Any]()
        for _ in range(n_entries):
            key = self._text("a key of its metadata")
            if key in metadata:
                self._fail(f"names {key!r} twice")
            metadata[key] = self._value(self._number(4), key)
        tensors = [self._tensor() for _ in range(n_tensors)]
        first = self._first_weight(metadata)
        placed = tuple(self._placed(tensor, first, metadata) for tensor in tensors)
        self._check_places(placed)
        return Header(self._path, self._data, metadata, placed)

    def _counts(self) -> tuple[int, int]:
        if bytes(self._view[:4]) != MAGIC:
            raise CheckpointError(
                f"{self._path} is not a readable GGUF file: it begins with "
                f"{bytes(self._view[:4])!r}, not {MAGIC!r}. Name a file that holds one."
            )
        self._at = 4
        version = self._number(4)
        if version not in VERSIONS:
            raise CheckpointError(
                f"{self._path} is GGUF of version {version} (or of a machine with another byte "
                f"order); versions {VERSIONS} of little-endian machines are read. Convert the "
                "model with a current llama.cpp."
            )
        counts = self._number(8), self._number(8)
        for count, what in zip(counts, ("tensors", "entries of metadata"), strict=True):
            if count > MOST_ENTRIES:
                self._fail(f"claims {count} {what}, more than {MOST_ENTRIES}")
        return counts

    def _value(self, kind: int, key: str) -> Any:
        if kind == GGUFValueType.STRING:
            return self._text(f"the value of {key!r}")
        if kind == GGUFValueType.ARRAY:
            return self._array(self._number(4), self._number(8), key)
        if kind not in _SCALARS:
            self._fail(f"has {key!r} of unknown type {kind}")
        return self._numbers(kind, 1, key)[0].item()

    def _array(self, kind: int, count: int, key: str) -> Any:
        if kind == GGUFValueType.STRING:
            self._require(8 * count, f"the {count} texts of {key!r}")
            return self._texts(count, f"a text of {key!r}")
        if kind not in _SCALARS:
            self._fail(f"has {key!r}, an array of type {kind}, which no model that is read has")
        return self._numbers(kind, count, key)

    def _numbers(self, kind: int, count: int, key: str) -> NDArray[Any]:
        dtype = _SCALARS[kind]
        n_bytes = count * dtype.itemsize
        self._require(n_bytes, f"the {count} numbers of {key!r}")
        raw = self._data[self._at : self._at + n_bytes]
        self._at += n_bytes
        # As bytes: numpy's bool has no value for bytes other than 0 and 1.
        return raw != 0 if kind == GGUFValueType.BOOL else np.array(raw).view(dtype)

    def _text(self, what: str) -> str:
        return self._texts(1, what)[0]

    def _texts(self, count: int, what: str) -> list[str]:
        # Vocabularies have some hundred thousand texts, so each one costs two calls only.
        found, view, at, end = list[str](), self._view, self._at, self._end
        length = struct.Struct("<Q").unpack_from
        for _ in range(count):
            first = at + 8
            at = first + length(view, at)[0] if first <= end else end + 1
            if at > end:
                self._fail(f"has no room for {what} that begins at byte {first - 8} of {end}")
            try:
                found.append(str(view[first:at], "utf-8"))
            except UnicodeDecodeError as error:
                self._fail(f"has {what} that is no UTF-8 ({error})")
        self._at = at
        return found

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """Read the name, shape, type and offset from the first weight, as the file has them."""
        name = self._text("a tensor's name")
        n_dimensions = self._number(4)
        if not 1 <= n_dimensions <= MOST_DIMENSIONS:
            self._fail(f"has tensor {name!r} with {n_dimensions} dimensions")
        shape = tuple(self._number(8) for _ in range(n_dimensions))[::-1]
        return name, shape, self._number(4), self._number(8)

    def _placed(
        self, tensor: tuple[str, tuple[int, ...], int, int], first: int, metadata: Mapping[str, Any]
    ) -> TensorPlace:
        name, shape, kind, offset = tensor
        try:
            known = GGMLQuantizationType(kind)
        except ValueError:
            raise CheckpointError(
                f"{self._path} has tensor {name!r} of type {kind}, which this gguf package does "
                "not know. Take the model in another type, or a newer gguf package."
            ) from None
        weights, _ = GGML_QUANT_SIZES[known]
        if min(shape) < 1 or shape[-1] % weights:
            self._fail(f"has tensor {name!r} of shape {shape}, not in blocks of {weights}")
        if offset % _alignment(metadata):
            self._fail(f"has tensor {name!r} at {offset}, off its own alignment")
        return TensorPlace(name, shape, known, first + offset)

    def _first_weight(self, metadata: Mapping[str, Any]) -> int:
        alignment = _alignment(metadata)
        if type(alignment) is not int or alignment not in _ALIGNMENTS:
            self._fail(
                f"has general.alignment {as_json(alignment)}, no power of two that is in use"
            )
        return -(-self._at // alignment) * alignment

    def _check_places(self, placed: tuple[TensorPlace, ...]) -> None:
        names = {place.name for place in placed}
        if len(names) < len(placed):
            self._fail(f"has {len(placed)} tensors of only {len(names)} names")
        in_order = sorted(placed, key=lambda place: place.start)
        for place in in_order[-1:]:
            if place.end > len(self._data):
                self._fail(f"ends at {len(self._data)}, tensor {place.name!r} at {place.end}")
        for one, next_one in pairwise(in_order):
            if one.end > next_one.start:
                self._fail(f"has tensor {one.name!r} reaching into {next_one.name!r}")

    def _number(self, size: int) -> int:
        self._require(size, "a number")
        self._at += size
        return int.from_bytes(self._view[self._at - size : self._at], "little")

    def _require(self, n_bytes: int, what: str) -> None:
        if n_bytes > self._end - self._at:
            self._fail(f"has no room for {what} at byte {self._at} of {self._end}")

    def _fail(self, what: str) -> NoReturn:
        raise CheckpointError(f"{self._path} {what}. {_REMEDY}")


def _alignment(metadata: Mapping[str, Any]) -> Any:
    return metadata.get("general.alignment", 32)
