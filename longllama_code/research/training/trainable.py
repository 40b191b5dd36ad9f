"""Parameters that training changes, and the lowest layer among them.

Layers below need no gradients, and their activations can be cached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from longllama_code.errors import ConfigError
from longllama_code.model.modeling import LongLlamaForCausalLM

Scope = Literal["all", "memory-projections", "memory-attention", "memory-layers", "above", "lora"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LAYER = re.compile(r"\blayers\.(\d+)\.(.*)")


@dataclass(frozen=True)
class LoraSizes:
    """Size of the low-rank updates of scope ``lora``."""

    rank: int = 16
    alpha: int = 32


def select_parameters(
    model: LongLlamaForCausalLM, scope: Scope, lora: LoraSizes | None = None
) -> dict[str, Any]:
    """Freeze all but the scope; return the trainable parameters by name.

    ========================= =================================================================
    ``all``                   everything
    ``memory-projections``    q, k, v of the memory layers
    ``memory-attention``      q, k, v, o and the norm before them, of the memory layers
    ``memory-layers``         all of the memory layers
    ``above``                 the first memory layer and all above, and the last norm
    ``lora``                  low-rank updates of ``above``'s projections (peft), and its norms
    ========================= =================================================================

    Raises:
        ConfigError: the scope needs memory layers and the model has none.
    """
    first = min(model.config.mem_layers, default=None)
    if first is None and scope != "all":
        raise ConfigError(f"scope {scope!r} needs memory layers, and the model has mem_layers [].")
    if scope == "lora":
        _add_lora(model, first or 0, lora or LoraSizes())
    for name, parameter in model.named_parameters():
        parameter.requires_grad = _is_trained(name, scope, model.config.mem_layers)
    return {n: p for n, p in model.named_parameters() if p.requires_grad}


def lowest_trained_layer(model: LongLlamaForCausalLM) -> int:
    """Return the first layer that a gradient must reach; 0 where the embeddings are trained."""
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    numbers = [int(m[1]) if (m := LAYER.search(name)) else None for name in names]
    if any("embed_tokens" in name or "lm_head" in name for name in names):
        return 0
    return min((number for number in numbers if number is not None), default=0)


def _is_trained(name: str, scope: Scope, mem_layers: Any) -> bool:
    found = LAYER.search(name)
    if scope == "all":
        return True
    first = min(mem_layers)
    if found is None:
        return scope in ("above", "lora") and name.endswith("model.norm.weight")
    layer, rest = int(found[1]), found[2]
    if scope == "above":
        return layer >= first
    if scope == "lora":
        return layer >= first and ("lora_" in rest or "layernorm" in rest)
    if layer not in mem_layers or scope == "memory-layers":
        return layer in mem_layers
    projections = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    if scope == "memory-attention":
        projections += ("self_attn.o_proj", "input_layernorm")
    return rest.startswith(projections)


def _add_lora(model: LongLlamaForCausalLM, first: int, sizes: LoraSizes) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    above = list(range(first, model.config.num_hidden_layers))
    config = LoraConfig(
        r=sizes.rank,
        lora_alpha=sizes.alpha,
        lora_dropout=0.0,
        layers_to_transform=above,
        target_modules=[
            *("q_proj", "k_proj", "v_proj", "o_proj"),
            *("gate_proj", "up_proj", "down_proj"),
        ],
    )
    inject_adapter_in_model(config, cast("Any", model))
