"""A model whose layers ``torch.compile`` has compiled: for reading prompts and for decoding.

    project   norm, queries, keys, values, rotation     compiled
    attend    local cache, search of memory             as it is
    finish    output projection, norm, feed-forward     compiled

What attention reads grows with every token and is found by search, so it stays outside. Both pieces
are compiled once for any number of tokens, and all layers share them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from longllama_code.errors import ConfigError
from longllama_code.model.attention import Projected
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.layers import LongLlamaDecoderLayer
from longllama_code.model.memory_source import MemoryOffer
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import Rotation, Turn
from longllama_code.model.rounded.quantized import Int4Linear, Int8Linear

N_TRIED_TOKENS = 5

M = TypeVar("M", bound=nn.Module)
Project = Callable[[LongLlamaDecoderLayer, Tensor, Turn, Turn | None, float], Projected]
Finish = Callable[[LongLlamaDecoderLayer, Tensor, Tensor], Tensor]


def compiled(model: LongLlamaForCausalLM, folder: Path) -> LongLlamaForCausalLM:
    """The same model with compiled layers, over the same weights, for use without gradients.

    All compiling is done here, and what was compiled is compared with the model itself. Later on
    nothing is ever compiled: an input that does not fit would go through the layers as they are.

    Args:
        model: where it is to run.
        folder: where the compiler keeps its results for the next start; for its owner alone.

    Raises:
        ConfigError: its weights are rounded by ourselves, which no compiler sees through.
        Exception: whatever a compiler raises that is not there or fails; an AssertionError, where
            its results are not the model's.
    """
    if any(isinstance(module, Int8Linear | Int4Linear) for module in model.modules()):
        raise ConfigError("rounded weights are compiled on CUDA alone; take another model.dtype.")
    _keep_results(folder)
    project = torch.compile(_project, fullgraph=True)
    finish = torch.compile(_finish, fullgraph=True)
    _compile(model, project, finish)
    run = import_module("torch._dynamo").run  # what was compiled before, and nothing else
    layers = [
        _CompiledLayer(cast("LongLlamaDecoderLayer", layer), run(project), run(finish))
        for layer in model.model.layers
    ]
    return _with_child(model, "model", _with_child(model.model, "layers", nn.ModuleList(layers)))


class _CompiledLayer(nn.Module):
    """In a layer's place; its arguments and results are those of the layer."""

    def __init__(self, layer: LongLlamaDecoderLayer, project: Project, finish: Finish) -> None:
        super().__init__()
        self.layer, self._project, self._finish = layer, project, finish
        self.keys_and_values = layer.keys_and_values

    def forward(
        self,
        hidden: Tensor,
        rotation: Rotation,
        first_scale: float,
        visible: Tensor,
        cache: LongLlamaCache | None,
        offer: MemoryOffer | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        asking = None if offer is None else rotation.asking
        projected = self._project(self.layer, hidden, rotation.own, asking, first_scale)
        mixed = self.layer.self_attn.attend(projected, visible, cache, offer)
        return self._finish(self.layer, hidden, mixed), projected.as_first, projected.values


def _project(
    layer: LongLlamaDecoderLayer, hidden: Tensor, own: Turn, asking: Turn | None, scale: float
) -> Projected:
    return layer.self_attn.project(layer.input_layernorm(hidden), own, asking, scale)


def _finish(layer: LongLlamaDecoderLayer, hidden: Tensor, mixed: Tensor) -> Tensor:
    return layer.feed_forward(hidden + layer.self_attn.o_proj(mixed))


def _keep_results(folder: Path) -> None:
    """Where results are kept, among them code that is run and pickles that are read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # refused where it is somebody else's
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)  # torch may have set it when imported
    inductor = cast("Any", import_module("torch._inductor.config"))
    inductor.compile_threads = 1  # no processes beside this one


@torch.inference_mode()
def _compile(model: LongLlamaForCausalLM, project: Project, finish: Finish) -> None:
    """Run both pieces of every layer, with and without memory, beside the layer itself."""
    inner, scale = model.model, model.model.rotary.first_scale
    positions = torch.arange(N_TRIED_TOKENS, device=model.device)[None]
    hidden = inner.embed_tokens(positions)
    rotation = inner.rotary(hidden, positions)
    for each in inner.layers:
        layer = cast("LongLlamaDecoderLayer", each)
        for asking in (None, rotation.asking):
            _of_any_length(hidden, *rotation.own, *(asking or ()))
            given = layer, hidden, rotation.own, asking, scale
            expected = _project(*given)
            _compare(project(*given), expected)
        mixed = expected.queries.transpose(1, 2).flatten(2)
        _of_any_length(hidden, mixed)
        expected = _finish(layer, hidden, mixed)
        _compare((finish(layer, hidden, mixed),), (expected,))
        hidden = expected


def _of_any_length(*tensors: Tensor) -> None:
    """Have them compiled for any number of tokens (the last dimension but one), one included."""
    dynamo = import_module("torch._dynamo.decorators")
    for tensor in tensors:
        if tensor.shape[-2] == N_TRIED_TOKENS:
            dynamo.mark_unbacked(tensor, tensor.dim() - 2)


def _compare(made: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Half of the digits agree: roundings may differ, results may not."""
    for one, other in zip(made, expected, strict=True):
        limit = torch.finfo(other.dtype).eps ** 0.5 * float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=limit)


def _with_child(module: M, name: str, child: nn.Module) -> M:
    """The same module but for one child; everything else is shared."""
    twin = copy(module)
    vars(twin)["_modules"] = {**dict(module.named_children()), name: child}
    return twin
