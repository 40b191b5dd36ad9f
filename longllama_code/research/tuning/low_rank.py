"""Low-rank updates (LoRA, by peft) of a model's projections."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from longllama_code.errors import CheckpointError
from longllama_code.model.modeling import LongLlamaForCausalLM

PROJECTIONS = (
    *("q_proj", "k_proj", "v_proj", "o_proj"),
    *("gate_proj", "up_proj", "down_proj"),
)
_PEFT_ENDING = ".default.weight"


def add_updates(
    model: LongLlamaForCausalLM, rank: int, alpha: int, lowest_layer: int, seed: int
) -> dict[str, nn.Parameter]:
    """Add updates that change nothing so far; return their parameters, and freeze the others.

    Args:
        model: is changed in place.
        rank: of the updates.
        alpha: their scale, times the rank.
        lowest_layer: the first layer that has some.
        seed: seed of their first factors.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        layers_to_transform=list(range(lowest_layer, model.config.num_hidden_layers)),
        target_modules=list(PROJECTIONS),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, cast("Any", model))
    for parameter in model.parameters():
        parameter.requires_grad = False
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False  # autocast does it
    found = parameters(model)
    for parameter in found.values():
        parameter.data = parameter.data.float()
        parameter.requires_grad = True
    return found


def parameters(model: LongLlamaForCausalLM) -> dict[str, nn.Parameter]:
    """Return the updates' parameters by name, such as ``….q_proj.lora_A``."""
    return {
        name.removesuffix(_PEFT_ENDING): parameter
        for name, parameter in model.named_parameters()
        if name.endswith(_PEFT_ENDING)
    }


def fill(model: LongLlamaForCausalLM, tensors: Mapping[str, Tensor]) -> None:
    """Give the updates their numbers.

    Raises:
        CheckpointError: they are those of another model or rank.
    """
    wanted = parameters(model)
    for name in sorted(wanted.keys() | tensors.keys()):
        shapes = [tuple(each[name].shape) if name in each else None for each in (wanted, tensors)]
        if shapes[0] != shapes[1]:
            raise CheckpointError(
                f"the update {name} has shape {shapes[1]}, and the model needs {shapes[0]}; the "
                "updates belong to another model or run."
            )
        with torch.no_grad():
            wanted[name].copy_(tensors[name])


@contextmanager
def base_alone(model: LongLlamaForCausalLM) -> Generator[None]:
    """Run the model as it was: its updates count nothing.

    peft's own switch also takes the parameters out of training, and their gradients with them.
    """
    from peft.tuners.lora import LoraLayer

    layers = [each for each in model.modules() if isinstance(each, LoraLayer)]
    scales = [dict(each.scaling) for each in layers]
    for each in layers:
        each.scaling.update(dict.fromkeys(each.scaling, 0.0))
    try:
        yield
    finally:
        for each, scale in zip(layers, scales, strict=True):
            each.scaling.update(scale)
