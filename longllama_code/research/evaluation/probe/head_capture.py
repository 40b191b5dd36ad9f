"""Memory for any set of heads, and forward passes that restart from stored hidden states.

A head with memory changes nothing below its layer, so the layers below are run once.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.model.attention import LongLlamaAttention
from longllama_code.model.layer_stack import causal_mask
from longllama_code.model.memory_source import DenseView, InputKeys, MemorySource, MemoryView
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.evaluation.losses import Window
from longllama_code.research.evaluation.memories import EncodedFile, encode_files
from longllama_code.research.evaluation.probe.head_choice import Head


@dataclass(frozen=True)
class AllHeads(MemorySource):
    """Keys and values of every head of every layer; shows those of the memory heads."""

    config: LongLlamaConfig
    keys: Tensor
    """Keys (layers, G, M, D), rotated to position 0; two bytes per number, to bound memory."""
    values: Tensor
    """Values (layers, G, M, D)."""
    paths: list[str]
    """Files that it comes from."""

    def layer_view(self, layer_idx: int, input_keys: InputKeys) -> MemoryView | None:
        """Return the memory heads of one layer; None if memory is empty."""
        if not self.keys.shape[2]:
            return None
        heads = list(self.config.memory_heads(layer_idx))
        return DenseView(self.keys[layer_idx, heads][None], self.values[layer_idx, heads][None])

    @property
    def n_tokens(self) -> int:
        """Tokens in memory, M."""
        return self.keys.shape[2]


@dataclass(frozen=True)
class Capture:
    """A forward pass over a window."""

    inputs: dict[int, Tensor]
    """Hidden states (1, S, E) that entered each layer."""
    losses: Tensor
    """Loss of each token of the text, in nats: float32 (S - head,)."""


def all_heads(config: LongLlamaConfig) -> list[Head]:
    """Return every key-value head of every layer."""
    layers, heads = range(config.num_hidden_layers), range(config.n_kv_heads)
    return [(layer, head) for layer in layers for head in heads]


def by_layer(heads: Collection[Head]) -> dict[int, list[int]]:
    """Return the heads of each layer, both ascending."""
    layers = sorted({layer for layer, _ in heads})
    return {layer: sorted(head for at, head in heads if at == layer) for layer in layers}


@contextmanager
def memory_heads(model: LongLlamaForCausalLM, heads: Collection[Head]) -> Generator[None]:
    """Let these heads, and no others, see memory; afterwards all is as it was."""
    chosen = by_layer(heads)
    fields = {
        "mem_layers": list(chosen),
        "mem_heads": {str(layer): kept for layer, kept in chosen.items()},
    }
    attentions = list(_attentions(model))
    before = [(attention.mem_heads, attention.local_heads) for attention in attentions]
    with config_fields(model.config, fields):
        try:
            for attention in attentions:
                mine = model.config.memory_heads(attention.layer_idx)
                attention.mem_heads = mine
                attention.local_heads = _others(model.config, mine)
            yield
        finally:
            for attention, (mine, others) in zip(attentions, before, strict=True):
                attention.mem_heads, attention.local_heads = mine, others


@contextmanager
def config_fields(config: LongLlamaConfig, fields: Mapping[str, object]) -> Generator[None]:
    """Set fields of a configuration for a while."""
    before = {name: getattr(config, name) for name in fields}
    try:
        for name, value in fields.items():
            setattr(config, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(config, name, value)


def encode_all_heads(
    loaded: LoadedModel, texts: Mapping[str, str], max_tokens: int, skip_first: int = 0
) -> AllHeads:
    """Return memory of some files as the engine would encode them, but for every head.

    Args:
        loaded: the model.
        texts: path → text, in the order of encoding.
        max_tokens: the maximum number of tokens; the last segment may be cut.
        skip_first: tokens at the start of each segment that are left out.
    """
    config = loaded.trainable.config
    # Segments are cut and encoded as usual, but all heads are kept.
    fields = {"mem_dtype": "float16"} if config.mem_dtype == "float32" else {}
    with config_fields(config, fields), memory_heads(loaded.trainable, all_heads(config)):
        files = encode_files(loaded, texts, max_tokens)
    keys = _join(config, files, "keys", skip_first)[:, :, :max_tokens]
    values = _join(config, files, "values", skip_first)[:, :, :max_tokens]
    device, paths = loaded.trainable.device, [file.path for file in files]
    return AllHeads(config, keys.to(device), values.to(device), paths)


@torch.inference_mode()
def capture(
    loaded: LoadedModel,
    window: Window,
    heads: Collection[Head],
    memory: MemorySource | None,
    layers: Collection[int],
) -> Capture:
    """Run a window with memory in some heads, and keep what entered some layers."""
    embeds = loaded.trainable.model.embed_tokens(_batch(loaded, window))
    inputs, hidden = {0: embeds} if 0 in layers else {}, embeds
    with memory_heads(loaded.trainable, heads):
        for layer_idx, output in _run(loaded.trainable, hidden, 0, memory):
            hidden = output
            if layer_idx + 1 in layers:
                inputs[layer_idx + 1] = hidden
    return Capture(inputs, _losses(loaded, window, hidden))


@torch.inference_mode()
def rerun(
    loaded: LoadedModel,
    window: Window,
    heads: Collection[Head],
    memory: MemorySource | None,
    start: tuple[int, Tensor],
) -> Tensor:
    """Return losses (S - head,) of a forward that starts at a layer, with what enters it.

    Args:
        loaded: the model.
        window: the window behind the hidden states.
        heads: the heads that see memory.
        memory: what they see.
        start: the layer, and the hidden states (1, S, E) that enter it; below it, nothing that
            the capture did not have may be among ``heads``.
    """
    first, hidden = start
    with memory_heads(loaded.trainable, heads):
        for _, output in _run(loaded.trainable, hidden, first, memory):
            hidden = output
    return _losses(loaded, window, hidden)


def _run(
    model: LongLlamaForCausalLM, hidden: Tensor, first: int, memory: MemorySource | None
) -> Iterator[tuple[int, Tensor]]:
    """Yield each layer's index and output, from the start layer on."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    visible = causal_mask(torch.ones_like(positions, dtype=torch.bool), hidden.shape[1])
    layers = range(first, model.config.num_hidden_layers)
    run = model.model.run_layers(hidden, positions, visible, layers=layers, memory=memory)
    for layer_idx, output, _, _ in run:
        yield layer_idx, output


def _losses(loaded: LoadedModel, window: Window, hidden: Tensor) -> Tensor:
    first = max(window.n_head - 1, 0)
    logits = loaded.trainable.lm_head(loaded.trainable.model.norm(hidden[:, first:-1]))[0]
    targets = _batch(loaded, window)[0, first + 1 :]
    return cross_entropy(logits.float(), targets, reduction="none")


def _batch(loaded: LoadedModel, window: Window) -> Tensor:
    return torch.tensor([window.ids], device=loaded.trainable.device)


def _join(config: LongLlamaConfig, files: list[EncodedFile], name: str, skip: int) -> Tensor:
    """Return keys or values of all segments, (layers, G, M, D).

    Raises:
        ConfigError: there are none.
    """
    parts: list[Tensor] = [
        getattr(segment, name)[:, skip:] for file in files for segment in file.segments
    ]
    if not parts:
        raise ConfigError("a repository has nothing to remember beside its windows; leave it out.")
    return torch.cat(parts, dim=1).unflatten(0, (config.num_hidden_layers, config.n_kv_heads))


def _attentions(model: LongLlamaForCausalLM) -> Iterator[LongLlamaAttention]:
    return (module for module in model.modules() if isinstance(module, LongLlamaAttention))


def _others(config: LongLlamaConfig, heads: Collection[int]) -> tuple[int, ...]:
    return tuple(head for head in range(config.n_kv_heads) if head not in heads)
