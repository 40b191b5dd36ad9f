"""Encoding of segments into keys and values.

Each segment is encoded alone, and its keys carry no position. So memory is a set, and an edit
replaces only the segment that it touched. A beginning-of-text token and a path header precede the
segment as local context and are not stored: the first tokens of a text attract attention whatever
they say (attention sinks; measured in docs/decisions/0001-memory-is-a-set-of-segments.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from longllama_code.memory.segments.identity import segment_id
from longllama_code.memory.segments.segment import EncodedSegment, page_offsets
from longllama_code.memory.segments.segmenter import Limits, Slice, cut
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.memory_source import MemorySource
from longllama_code.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from longllama_code.model.any_model import AnyModel

MIN_SINK_TOKENS = 4
"""Least number of tokens before a segment; a shorter header is repeated."""


class SegmentEncoder:
    """Encoder of one model. Only the thread that owns the model may use it.

    Segments of a model without memory layers contain tokens alone, from which names are copied
    (``generation/decoding/copying.py``).

    Args:
        model: the model.
        tokenizer: the model's.
        fingerprint: models with equal fingerprints encode equal segments.
        limits: sizes of segments.
        kernels: the same model run by kernels, if there are any for it.
    """

    def __init__(
        self,
        model: AnyModel,
        tokenizer: Tokenizer,
        fingerprint: str,
        limits: Limits,
        kernels: KernelModel | None = None,
    ) -> None:
        self._model, self._kernels = model, kernels
        self._tokenizer = tokenizer
        self._limits = limits
        config = model.config
        self._head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
        self._mem_dtype: torch.dtype = getattr(torch, config.mem_dtype)
        self._heads = {
            layer: list(config.memory_heads(layer)) for layer in sorted(config.mem_layers)
        }
        self._fingerprint = fingerprint

    def cut(self, text: str) -> list[Slice]:
        """Return the segments of a file, without blank ones."""
        slices = cut(text, self._tokenizer.encode_lines, self._limits)
        return [piece for piece in slices if not text[piece.start : piece.end].isspace()]

    def identity(self, header: str, text: str) -> str:
        """Return the id of a segment's encoding; equal ids mean equal keys and values."""
        return segment_id(self._fingerprint, header, text)

    @torch.inference_mode()
    def encode(
        self,
        header: str,
        text: str,
        memory: MemorySource | None = None,
        *,
        stores_sink: bool = False,
    ) -> EncodedSegment:
        """Encode one segment.

        Args:
            header: line that names the segment's file.
            text: text of the segment.
            memory: what the segment sees besides itself; only evaluations pass it. It does not
                change the segment's id, nor does ``stores_sink``.
            stores_sink: whether to store the tokens before the text, too, at its offset 0.
        """
        ids, spans = self._tokenizer.offsets(text)
        sink = self._sink(header)
        n_left_out = 0 if stores_sink else len(sink)
        if stores_sink:
            spans = [(0, 0)] * len(sink) + spans
        window = [*sink, *ids]
        keys, values = self._keys_and_values(window, n_left_out, memory)
        stored = torch.tensor(window[n_left_out:], dtype=torch.int32)
        return EncodedSegment(
            self.identity(header, text), keys, values, stored, page_offsets(spans)
        )

    def _keys_and_values(
        self, window: list[int], n_left_out: int, memory: MemorySource | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of a window without its beginning, each (memory heads, n, D)."""
        if not self._heads:
            nothing = torch.empty(0, len(window) - n_left_out, self._head_dim)
            return nothing.to(self._mem_dtype), nothing.to(self._mem_dtype)
        encoded = self._run(window, memory)
        pairs = [
            tuple(part[0, heads, n_left_out:] for part in encoded[layer])
            for layer, heads in self._heads.items()
        ]
        keys, values = (torch.cat(part) for part in zip(*pairs, strict=True))
        return keys.to(self._mem_dtype).cpu(), values.to(self._mem_dtype).cpu()

    def _run(
        self, ids: list[int], memory: MemorySource | None
    ) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        """Return position-zero keys and values of each memory layer, each (1, G, S, D)."""
        if self._kernels is not None and memory is None:
            return self._kernels.encode_memory(ids)
        return self._model.model.encode_memory(
            torch.tensor([ids], device=self._model.device), memory
        )

    def _sink(self, header: str) -> Sequence[int]:
        tokenizer = self._tokenizer
        sink = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        header_ids = tokenizer.encode_first(header)
        while len(sink) < MIN_SINK_TOKENS:
            sink += header_ids
        return sink
