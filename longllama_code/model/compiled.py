"""A model with layers compiled by ``torch.compile``, for prompts and decoding.

    project   norm, queries, keys, values, rotation     compiled
    attend    local cache, search of memory             not compiled
    finish    output projection, norm, feed-forward     compiled

What attention reads grows with every token and is found by search, so it is not compiled. Both
pieces are compiled once for any number of tokens, and all layers share them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor, nn

from longllama_code.errors import ConfigError
from longllama_code.model.attention import LayerInputs, Projected
from longllama_code.model.layers import LayerSteps
from longllama_code.model.rope import CosSin
from longllama_code.model.rounded.quantized import Int4Linear, Int8Linear

if TYPE_CHECKING:
    from longllama_code.model.any_model import AnyModel

N_TRIED_TOKENS = 5

M = TypeVar("M", bound=nn.Module)
Project = Callable[[LayerSteps, Tensor, CosSin, CosSin | None, float], Projected]
Finish = Callable[[LayerSteps, Tensor, Tensor], Tensor]


def compiled(model: AnyModel, folder: Path) -> AnyModel:
    """Return the model with compiled layers over the same weights, for use without gradients.

    Everything is compiled here, and its results are compared with the model's own. Nothing is
    compiled later: an input that does not fit runs through the layers without compilation.

    Args:
        model: the model, on the device where it will run.
        folder: private folder in which the compiler keeps its results for the next start.

    Raises:
        ConfigError: the weights are of ``Int8Linear`` or ``Int4Linear``, which do not compile.
        AssertionError: the compiled results differ from the model's.
        Exception: any error of a compiler that is missing or fails.
    """
    if any(isinstance(module, Int8Linear | Int4Linear) for module in model.modules()):
        raise ConfigError(
            f"int8 and int4 weights are compiled on CUDA alone, and this model is on "
            f"{model.device}; set model.dtype to float32 or bfloat16, or model.compile to false."
        )
    _set_results_folder(folder)
    project = torch.compile(_project, fullgraph=True)
    finish = torch.compile(_finish, fullgraph=True)
    _compile(model, project, finish)
    run = import_module("torch._dynamo").run  # runs what is compiled, and compiles nothing
    layers = [
        _CompiledLayer(cast("LayerSteps", layer), run(project), run(finish))
        for layer in model.model.layers
    ]
    return _with_child(model, "model", _with_child(model.model, "layers", nn.ModuleList(layers)))


class _CompiledLayer(nn.Module):
    """Stand-in for a decoder layer, with the same arguments and results."""

    def __init__(self, layer: LayerSteps, project: Project, finish: Finish) -> None:
        super().__init__()
        self.layer, self._project, self._finish = layer, project, finish
        self.keys_and_values = layer.keys_and_values

    def forward(self, hidden: Tensor, inputs: LayerInputs) -> tuple[Tensor, Tensor, Tensor]:
        local = inputs.rotation.local
        memory = None if inputs.memory is None else inputs.rotation.memory
        projected = self._project(self.layer, hidden, local, memory, inputs.position_zero_scale)
        mixed = self.layer.self_attn.attend(projected, inputs)
        output = self._finish(self.layer, hidden, mixed)
        return output, projected.position_zero_keys, projected.values


def _project(
    layer: LayerSteps, hidden: Tensor, local: CosSin, memory: CosSin | None, scale: float
) -> Projected:
    return layer.self_attn.project(layer.input_layernorm(hidden), local, memory, scale)


def _finish(layer: LayerSteps, hidden: Tensor, mixed: Tensor) -> Tensor:
    return layer.feed_forward(hidden + layer.self_attn.o_proj(mixed))


def _set_results_folder(folder: Path) -> None:
    """Have the compiler keep its results, which include code and pickles, in a private folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # fails if the folder belongs to someone else
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)  # torch may have set it at import
    inductor = cast("Any", import_module("torch._inductor.config"))
    inductor.compile_threads = 1  # no further processes


@torch.inference_mode()
def _compile(model: AnyModel, project: Project, finish: Finish) -> None:
    """Compile both pieces for every layer, with and without memory, and check their results."""
    inner, scale = model.model, model.model.rotary.position_zero_scale
    positions = torch.arange(N_TRIED_TOKENS, device=model.device)[None]
    hidden = inner.embed_tokens(positions)
    rotation = inner.rotary(hidden, positions)
    for each in inner.layers:
        layer = cast("LayerSteps", each)
        for memory in (None, rotation.memory):
            _mark_any_length(hidden, *rotation.local, *(memory or ()))
            arguments = layer, hidden, rotation.local, memory, scale
            expected = _project(*arguments)
            _compare(project(*arguments), expected)
        mixed = expected.queries.transpose(1, 2).flatten(2)
        _mark_any_length(hidden, mixed)
        expected = _finish(layer, hidden, mixed)
        _compare((finish(layer, hidden, mixed),), (expected,))
        hidden = expected


def _mark_any_length(*tensors: Tensor) -> None:
    """Have the compiler accept any number of tokens (the last dimension but one), one included."""
    dynamo = import_module("torch._dynamo.decorators")
    for tensor in tensors:
        if tensor.shape[-2] == N_TRIED_TOKENS:
            dynamo.mark_unbacked(tensor, tensor.dim() - 2)


def _compare(compiled: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    """Check that half of the digits agree: roundings may differ, results may not."""
    for one, other in zip(compiled, expected, strict=True):
        limit = torch.finfo(other.dtype).eps ** 0.5 * float(other.abs().max())
        torch.testing.assert_close(one, other, rtol=0, atol=limit)


def _with_child(module: M, name: str, child: nn.Module) -> M:
    """Return a shallow copy of a module with another child; everything else is shared.

    A copy of ``nn.Module`` shares its table of children, so the copy gets a table of its own.
    """
    twin = copy(module)
    vars(twin)["_modules"] = {**dict(module.named_children()), name: child}
    return twin
