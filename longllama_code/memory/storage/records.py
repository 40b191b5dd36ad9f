"""Format of records; a record is one token of memory, with its keys, values and id.

    | key codes of head 0, 1, … | value codes of head 0, 1, … | ranges | clusters | id | padding |

A record fills whole cache lines, so that scoring a key of ``mini`` reads one line. Key codes are
residuals to the key's cluster (``table.py``), value codes are steps of the range of the token's
values. Without a table, both are floats of ``mem_dtype``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from longllama_code.errors import ConfigError
from longllama_code.kernels.record_arrays import RecordArrays
from longllama_code.kernels.search import Space
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.storage.record_file import RecordStorage
from longllama_code.memory.storage.store import SegmentStore, StoredSegment
from longllama_code.memory.storage.table import MemoryTable
from longllama_code.model_config import MEM_FORMATS, ModelConfig
from longllama_code.paths import TABLE_FILE

LINE_BYTES = 64
STEPS = {8: 6 / 127, 4: 2.6 / 7}
"""Step of a residual's code in standard deviations, by bits; larger residuals are clipped."""


@dataclass(frozen=True)
class EncodedQueries:
    """Queries (Q, D) of one head, in the form that is multiplied with key codes."""

    codes: Tensor
    """(Q, D); the product with key codes is the residuals' part of the scores."""
    clusters: Tensor | None
    """The clusters' part of the scores, (Q, C); None for keys without clusters."""
    common: Tensor | float
    """Part that is the same for all keys of a query, (Q, 1) or 0."""

    def scores(self, codes: Tensor, clusters: Tensor) -> Tensor:
        """Return the scores (Q, n) of keys with codes (n, D) and clusters (n,)."""
        if self.clusters is None:
            return self.codes @ codes.T + self.common
        return torch.addmm(self.clusters[:, clusters], self.codes, codes.T) + self.common


@dataclass(frozen=True)
class RecordFormat:
    """Layout of the records of one model."""

    n_heads: int
    head_dim: int
    dtype: torch.dtype
    """Dtype of keys and values without a table."""
    table: MemoryTable | None = None
    key_bits: int = 0
    """0 for floats."""
    value_bits: int = 0

    @classmethod
    def of(cls, config: ModelConfig, table: MemoryTable | None) -> RecordFormat:
        """Return the format that a configuration names.

        Raises:
            ConfigError: the format has integers, and there is no table of the model's heads.
        """
        plain = cls.plain(config)
        n_heads, head_dim = plain.n_heads, plain.head_dim
        if config.mem_format is None:
            return plain
        if table is None or table.mean.shape != (n_heads, head_dim):
            raise ConfigError(
                f"mem_format is {config.mem_format!r}, which needs a {TABLE_FILE} of the model's "
                f"{n_heads} memory heads of {head_dim}; make it with `longllama table`, or set "
                "mem_format to null."
            )
        return cls(n_heads, head_dim, plain.dtype, table, *MEM_FORMATS[config.mem_format])

    @classmethod
    def plain(cls, config: ModelConfig) -> RecordFormat:
        """Return the format with floats of ``mem_dtype``."""
        n_heads = sum(len(config.memory_heads(layer)) for layer in config.mem_layers)
        head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        return cls(n_heads, head_dim, getattr(torch, config.mem_dtype))

    @property
    def n_bytes(self) -> int:
        """Bytes of a record."""
        return -(-self._id[1] // LINE_BYTES) * LINE_BYTES

    @property
    def n_clusters(self) -> int:
        """Number of clusters of each head; 0 for keys without clusters."""
        return self.table.n_clusters if self.table else 0

    def pack(self, segment: EncodedSegment) -> Tensor:
        """Return the records of a segment, uint8 (n, bytes)."""
        records = torch.zeros(segment.n_tokens, self.n_bytes, dtype=torch.uint8)
        for head in range(self.n_heads):
            _put(records, self._values(head), self._value_codes(records, segment, head))
        if self.table is None:
            for head, keys in enumerate(segment.keys):
                _put(records, self._keys(head), keys.to(self.dtype))
        else:
            self._pack_keys(records, segment, self.table)
        _put(records, self._id, segment.ids.int()[:, None])
        return records

    def store(self, store: SegmentStore, segment: EncodedSegment) -> StoredSegment:
        """Put a segment into a store of such records.

        Raises:
            StoreError: the disk is full or no longer writable.
        """
        return store.put(segment.id, self.pack(segment), segment.page_offsets.tolist())

    def unpack(
        self, segment_id: str, records: Tensor, page_offsets: Sequence[int]
    ) -> EncodedSegment:
        """Return a segment from its records, up to their rounding."""
        offsets = torch.tensor(page_offsets, dtype=torch.int32)
        if not self.n_heads:
            nothing = torch.empty(0, len(records), self.head_dim, dtype=self.dtype)
            return EncodedSegment(segment_id, nothing, nothing, self.ids(records), offsets)
        rows = torch.arange(len(records), device=records.device)
        heads = range(self.n_heads)
        keys = torch.stack([self.keys(records, rows, head) for head in heads])
        values = torch.stack([self.values(records, rows, head) for head in heads])
        return EncodedSegment(
            segment_id, keys.to(self.dtype), values.to(self.dtype), self.ids(records), offsets
        )

    def encode_queries(self, queries: Tensor, head: int) -> EncodedQueries:
        """Encode queries (Q, D) of a head."""
        if self.table is None:
            return EncodedQueries(queries, None, 0.0)
        turned = queries @ self.table.back[head].T
        clusters = turned @ self.table.centroids[head].T
        common = queries @ self.table.mean[head, :, None]
        return EncodedQueries(turned * self._step(head), clusters, common)

    def stored_keys(self, records: Tensor) -> Tensor:
        """Return the key codes of 8-bit records, int8 (heads, n, D)."""
        heads = range(self.n_heads)
        codes = [_get(records, self._keys(head), slice(None)) for head in heads]
        return torch.stack(codes).view(torch.int8)

    def key_codes(self, records: Tensor | RecordStorage, rows: Tensor, head: int) -> Tensor:
        """Return the key codes at rows (n,), float (n, D)."""
        codes = _get(records, self._keys(head), rows)
        if not self.key_bits:
            return codes.view(self.dtype).float()
        return _unpacked(codes, 4).sub_(8) if self.key_bits == 4 else codes.view(torch.int8).float()

    def clusters(
        self, records: Tensor | RecordStorage, rows: Tensor | slice = slice(None)
    ) -> Tensor:
        """Return the clusters of keys, int32 (H, n)."""
        codes = _get(records, self._clusters, rows).view(torch.int16).int() & 0xFFFF
        return codes.T

    def clusters_of(self, records: Tensor | RecordStorage, rows: Tensor, head: int) -> Tensor:
        """Return the clusters of one head's keys, int64 (n,); 0 for keys without clusters."""
        if self.table is None:
            return torch.zeros_like(rows, dtype=torch.int64)
        return self.clusters(records, rows)[head].long()

    def values(self, records: Tensor | RecordStorage, rows: Tensor, head: int) -> Tensor:
        """Return the values at rows (n,), float (n, D)."""
        codes = _get(records, self._values(head), rows)
        if not self.value_bits:
            return codes.view(self.dtype).float()
        low, step = _get(records, self._range(head), rows).view(torch.float16).float().split(1, 1)
        return _unpacked(codes, self.value_bits) * step + low

    def keys(self, records: Tensor, rows: Tensor, head: int) -> Tensor:
        """Return the keys at rows (n,), up to rounding, float (n, D)."""
        codes = self.key_codes(records, rows, head)
        if self.table is None:
            return codes
        cluster = self.clusters_of(records, rows, head)
        turned = self.table.centroids[head, cluster] + codes * self._step(head)
        return turned @ self.table.back[head] + self.table.mean[head]

    def ids(self, records: Tensor) -> Tensor:
        """Return the token ids of records, int32 (n,)."""
        return _get(records, self._id, slice(None)).view(torch.int32)[:, 0]

    @cached_property
    def spaces(self) -> list[Space]:
        """Each head's part of the table, for kernels; empty without a table."""
        table = self.table
        if table is None:
            return []
        return [
            Space(
                mean=table.mean[head].contiguous().numpy(),
                back=table.back[head].contiguous().numpy(),
                centroids=table.centroids[head].contiguous().numpy(),
                step=self._step(head).numpy(),
            )
            for head in range(self.n_heads)
        ]

    def arrays(
        self, records: Tensor, positions: Tensor, visible: Tensor | None, head: int
    ) -> RecordArrays:
        """Return the arrays from which kernels read a head's keys and values.

        Args:
            records: uint8 (N, bytes).
            positions: the record of each row, (M,).
            visible: visible rows, bool (M,); None for all.
            head: index of the memory head.
        """
        content = records.numpy()
        return RecordArrays(
            content=content,
            signed=content.view(np.int8),
            positions=positions.numpy(),
            visible=np.empty(0, np.bool_) if visible is None else visible.numpy(),
            key=self._keys(head)[0],
            key_bits=self.key_bits,
            value=self._values(head)[0],
            value_bits=self.value_bits,
            range=self._range(head)[0],
        )

    def _pack_keys(self, records: Tensor, segment: EncodedSegment, table: MemoryTable) -> None:
        turned = table.turned(segment.keys.to(table.device))
        clusters = table.clusters(turned)
        most = 2 ** (self.key_bits - 1) - 1
        for head in range(self.n_heads):
            residuals = turned[head] - table.centroids[head, clusters[head]]
            codes = (residuals / self._step(head)).round_().clamp_(-most, most)
            narrow = _packed(codes + 8, 4) if self.key_bits == 4 else codes.to(torch.int8)
            _put(records, self._keys(head), narrow)
        # As unsigned numbers, for up to 65,536 clusters.
        _put(records, self._clusters, clusters.T.int().to(torch.int16).contiguous())

    def _value_codes(self, records: Tensor, segment: EncodedSegment, head: int) -> Tensor:
        """Return the codes of a head's values, and put their ranges into the records."""
        values = segment.values[head]
        if not self.value_bits:
            return values.to(self.dtype)
        values = values.float()
        low, high = values.aminmax(dim=1, keepdim=True)
        n_steps = 2**self.value_bits - 1
        span = torch.cat((low, (high - low) / n_steps), dim=1).half()
        _put(records, self._range(head), span)
        low, step = span.float().split(1, 1)
        codes = ((values - low) / step.clamp(min=1e-8)).round_().clamp_(0, n_steps)
        return _packed(codes, self.value_bits)

    def _step(self, head: int) -> Tensor:
        """Return the size of a key code's step in each channel, (D,)."""
        assert self.table is not None
        return self.table.spread[head] * STEPS[self.key_bits]

    def _keys(self, head: int) -> tuple[int, int]:
        return _field(0, self._width(self.key_bits), head)

    def _values(self, head: int) -> tuple[int, int]:
        start = self.n_heads * self._width(self.key_bits)
        return _field(start, self._width(self.value_bits), head)

    def _range(self, head: int) -> tuple[int, int]:
        return _field(self._values(self.n_heads)[0], 4 if self.value_bits else 0, head)

    @property
    def _clusters(self) -> tuple[int, int]:
        start = self._range(self.n_heads)[0]
        return start, start + (2 * self.n_heads if self.table else 0)

    @property
    def _id(self) -> tuple[int, int]:
        start = -(-self._clusters[1] // 4) * 4
        return start, start + 4

    def _width(self, bits: int) -> int:
        """Return the bytes of a key or a value."""
        return self.head_dim * bits // 8 if bits else self.head_dim * self.dtype.itemsize


def _field(start: int, width: int, index: int) -> tuple[int, int]:
    return start + width * index, start + width * (index + 1)


def _get(records: Tensor | RecordStorage, field: tuple[int, int], rows: Tensor | slice) -> Tensor:
    """Return the bytes of a field at some rows, contiguous."""
    if not isinstance(records, Tensor):
        assert not isinstance(rows, slice)
        return records.read(rows, *field)
    column = records[:, field[0] : field[1]]
    if isinstance(rows, slice):
        return column[rows].contiguous()
    return column.index_select(0, rows)


def _put(records: Tensor, field: tuple[int, int], content: Tensor) -> None:
    records[:, field[0] : field[1]] = content.contiguous().view(torch.uint8).cpu()


def _packed(codes: Tensor, bits: int) -> Tensor:
    """Pack codes (n, D) of 4, 5 or 8 bits into uint8 (n, D * bits / 8).

    A byte has the low four bits of two codes: code i of the first half in its low bits, code i of
    the second half in its high bits. Behind these bytes are the fifth bits of eight codes each, one
    from each eighth of the codes, the first eighth's in the lowest bit.
    """
    codes = codes.to(torch.uint8)
    if bits == 8:
        return codes
    low, high = (codes & 15).chunk(2, dim=1)
    packed = low | high << 4
    if bits == 4:
        return packed
    fifth = (codes >> 4).unflatten(1, (8, -1)) << torch.arange(8, dtype=torch.uint8)[:, None]
    return torch.cat((packed, fifth.sum(1, dtype=torch.uint8)), dim=1)


def _unpacked(packed: Tensor, bits: int) -> Tensor:
    """Invert ``_packed``: return float (n, D)."""
    if bits == 8:
        return packed.float()
    n_packed = packed.shape[1] * 4 // bits
    fours, fifth = packed[:, :n_packed], packed[:, n_packed:]
    codes = torch.cat((fours & 15, fours >> 4), dim=1)
    if bits == 5:
        shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)[:, None]
        codes += ((fifth[:, None] >> shifts & 1) << 4).flatten(1)
    return codes.float()
