"""The cache of the local context, as transformers' ``generate`` wants one."""

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from longllama_code.model.caches import LayerCache, LongLlamaCache
from longllama_code.model_config import ModelConfig


class GenerationLayer(LayerCache, DynamicLayer):
    """Local context of one layer; of ``DynamicLayer`` it uses nothing but the type."""

    def __init__(self) -> None:
        DynamicLayer.__init__(self)
        LayerCache.__init__(self)


class GenerationCache(LongLlamaCache, Cache):
    """A ``LongLlamaCache`` with the methods that ``generate`` calls.

    Args:
        config: the model's.
        spills: whether tokens that leave the window go to memory; otherwise they are dropped.
    """

    def __init__(self, config: ModelConfig, *, spills: bool = True) -> None:
        Cache.__init__(self, layers=[])
        LongLlamaCache.__init__(self, config, spills=spills)

    def _new_layer(self) -> LayerCache:
        return GenerationLayer()

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens in the local context and in memory."""
        return self.seen_tokens

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Keep the beams ``beam_idx``."""
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every batch row."""
        if self.next_position is not None:
            rows = torch.arange(self.next_position.shape[0]).repeat_interleave(repeats)
            self.batch_select_indices(rows)

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep the batch rows ``indices``, in that order."""
        for layer in self.layers:
            for buffer in layer.buffers():
                buffer.select(indices)
        self.memory.select(indices)
        if self.first_position is not None and self.next_position is not None:
            rows = indices.to(self.first_position.device)
            self.first_position = self.first_position.index_select(0, rows)
            self.next_position = self.next_position.index_select(0, rows)

    def crop(self, tokens_to_remove: int) -> None:
        """Drop the last ``-tokens_to_remove`` tokens, those of a rejected draft.

        Earlier releases of transformers 5 pass the length to keep, as a positive number.
        """
        n_dropped = (
            -tokens_to_remove if tokens_to_remove <= 0 else self.seen_tokens - tokens_to_remove
        )
        self.truncate(self.local_length - n_dropped)

    @property
    def is_compileable(self) -> bool:
        """False: a cache that grows is no static cache."""
        return False
