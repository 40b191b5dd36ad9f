"""Small models with random weights in several shapes, and inputs, for laws that hold for any."""

from typing import Any

import torch
from torch import Tensor

from longllama_code.config import LongLlamaConfig
from longllama_code.model.memory_source import DenseView, InputKeys, MemoryView
from longllama_code.model.modeling import LongLlamaForCausalLM

VOCAB, WINDOW = 50, 16
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"num_key_value_heads": 4},
    "grouped": {"mem_layers": [0, 2]},
    "mem_heads": {"mem_layers": [1, 2], "mem_heads": {"1": [1], "2": [0, 1]}},
    "biases": {"attention_bias": True, "mlp_bias": True},
    "qwen": {"qkv_bias": True, "tie_word_embeddings": True},
}
# Every layer sees memory and nothing rotates: windows and spills cannot be told from one pass.
SEAMLESS: dict[str, Any] = {"mem_layers": [0, 1, 2], "mem_positionals": False}


def build(**overrides: Any) -> LongLlamaForCausalLM:
    fields: dict[str, Any] = {
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": WINDOW,
        "initializer_range": 0.2,
        "mem_layers": [1],
        "mem_dtype": "float32",
        "last_context_length": 6,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    model = LongLlamaForCausalLM(LongLlamaConfig(**{**fields, **overrides})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.2)
    return model


def random_ids(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(1, VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def close(one: Tensor, other: Tensor, tolerance: float = 1e-4) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, atol=tolerance, rtol=0)


@torch.no_grad()
def in_chunks(
    model: LongLlamaForCausalLM, ids: Tensor, sizes: list[int], **settings: int
) -> Tensor:
    """Logits of ids that come a chunk at a time, through the cache."""
    logits, cache = [], None
    for chunk in ids.split(sizes, dim=1):
        outputs = model(chunk, past_key_values=cache, use_cache=True, **settings)
        logits.append(outputs.logits)
        cache = outputs.past_key_values
    return torch.cat(logits, dim=1)


class FixedMemory:
    """What ``encode_memory`` gave, in an order of its own."""

    def __init__(
        self,
        model: LongLlamaForCausalLM,
        ids: Tensor,
        order: Tensor,
        visible: Tensor | None = None,
    ) -> None:
        self._encoded = model.model.encode_memory(ids)
        self._heads, self._order, self._visible = model.config.memory_heads, order, visible

    def layer_view(self, layer_idx: int, input_keys: InputKeys | None = None) -> MemoryView:
        keys, values = (part[:, self._heads(layer_idx)] for part in self._encoded[layer_idx])
        return DenseView(keys[:, :, self._order], values[:, :, self._order], self._visible)


def padded(*lengths: int) -> dict[str, Tensor]:
    """A batch of prompts of some lengths, padded on the left."""
    longest = max(lengths)
    ids, mask = random_ids(len(lengths), longest), torch.ones(len(lengths), longest).long()
    for row, length in enumerate(lengths):
        ids[row, : longest - length] = mask[row, : longest - length] = 0
    return {"input_ids": ids, "attention_mask": mask}
