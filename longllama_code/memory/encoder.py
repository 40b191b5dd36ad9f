"""Turns segments into keys and values.

Each segment is encoded alone: its keys carry no position, so memory is a set, and an edit replaces
only the segment that it touched. A beginning-of-text token and a path header stand before it as
local context and are not stored, as the first tokens of a text draw attention whatever they say
(attention sinks; measured in ARCHITECTURE.md).
"""

import hashlib
from collections.abc import Sequence

import torch

from longllama_code.errors import ConfigError
from longllama_code.memory.segment import EncodedSegment, page_offsets
from longllama_code.memory.segmenter import Limits, Slice, cut
from longllama_code.model.kernel_model import KernelModel
from longllama_code.model.memory import MemorySource
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.tokenizer import Tokenizer

ENCODER_VERSION = 2
"""Raised whenever the same text would be encoded differently; old segments are then left behind."""
MIN_SINK_TOKENS = 4
"""Tokens before a segment that are never stored: where a header is shorter, it is repeated."""


class SegmentEncoder:
    """Segments of one model. Used by the thread that owns the model, alone.

    Args:
        model: the model.
        tokenizer: the model's.
        fingerprint: equal ones encode equal segments.
        limits: sizes of segments.
        kernels: the same model by kernels, where there are any.

    Raises:
        ConfigError: the model has no memory layers.
    """

    def __init__(
        self,
        model: LongLlamaForCausalLM,
        tokenizer: Tokenizer,
        fingerprint: str,
        limits: Limits,
        kernels: KernelModel | None = None,
    ) -> None:
        self._model, self._kernels = model, kernels
        self._tokenizer = tokenizer
        self._limits = limits
        config = model.config
        if not config.mem_layers:
            raise ConfigError(
                "the model has mem_layers [], so it cannot remember; name its memory layers in the "
                "config.json of its folder."
            )
        self._mem_dtype: torch.dtype = getattr(torch, config.mem_dtype)
        self._heads = {
            layer: list(config.memory_heads(layer)) for layer in sorted(config.mem_layers)
        }
        self._salt = f"{fingerprint}\0{ENCODER_VERSION}\0".encode()

    def cut(self, text: str) -> list[Slice]:
        """The segments of a file; none where it is blank."""
        slices = cut(text, self._tokenizer.encode_lines, self._limits)
        return [piece for piece in slices if not text[piece.start : piece.end].isspace()]

    def identity(self, header: str, text: str) -> str:
        """The id of a segment's encoding: equal ids mean equal keys and values."""
        digest = hashlib.blake2b(self._salt, digest_size=16)
        digest.update(header.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

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
            header: the line that names its file.
            text: the segment.
            memory: what it sees beside itself; the product shows it nothing. Like ``stores_sink``
                it is no part of the segment's id.
            stores_sink: whether what stands before the text is stored too, at its offset 0.
        """
        ids, spans = self._tokenizer.offsets(text)
        sink = self._sink(header)
        n_left_out = 0 if stores_sink else len(sink)
        if stores_sink:
            spans = [(0, 0)] * len(sink) + spans
        window = [*sink, *ids]
        encoded = self._run(window, memory)
        pairs = [
            tuple(part[0, heads, n_left_out:] for part in encoded[layer])
            for layer, heads in self._heads.items()
        ]
        keys, values = (
            torch.cat(part).to(self._mem_dtype).cpu() for part in zip(*pairs, strict=True)
        )
        stored = torch.tensor(window[n_left_out:], dtype=torch.int32)
        return EncodedSegment(
            self.identity(header, text), keys, values, stored, page_offsets(spans)
        )

    def _run(
        self, ids: list[int], memory: MemorySource | None
    ) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        """Keys as first and values of each memory layer, each (1, G, S, D)."""
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


def path_header(path: str) -> str:
    """The line that names a file, before its segments and before the local context."""
    return f"# {path}\n"
