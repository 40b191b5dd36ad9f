"""Linear layers with weights in 8 or 4 bits on a CUDA device, by torchao and its kernels.

    int8   one scale for each row (output)
    int4   a scale and an offset for each 32 weights, in the order of the tensor cores' tiles

torchao is installed by the extra ``gpu`` and imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from longllama_code.errors import CheckpointError
from longllama_code.kernels.codegen.weight_layouts import GROUP
from longllama_code.weight_kinds import WeightKind


def uses_torchao(device: torch.device) -> bool:
    """Whether weights on a device are quantized by torchao."""
    return device.type == "cuda"


def torchao_linear(weight: Tensor, kind: WeightKind, bias: nn.Parameter | None = None) -> nn.Linear:
    """Return a linear layer with a weight (out, in) quantized by torchao, on the weight's device.

    Args:
        weight: in the dtype of the computation; bfloat16 for 4 bits.
        kind: ``int8`` or ``int4``, which needs CUDA.
        bias: (out,), if any.

    Raises:
        CheckpointError: torchao is not installed.
    """
    quantization = _quantization()
    n_outputs, n_inputs = weight.shape
    linear = nn.Linear(n_inputs, n_outputs, bias=False, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    linear.register_parameter("bias", bias)
    quantization.quantize_(linear, _config(quantization, kind))
    return linear


def _config(quantization: Any, kind: WeightKind) -> Any:
    if kind == "int8":
        return quantization.Int8WeightOnlyConfig(set_inductor_config=False)
    return quantization.Int4WeightOnlyConfig(
        group_size=GROUP, int4_packing_format="tile_packed_to_4d", set_inductor_config=False
    )


def _quantization() -> Any:
    try:
        return import_module("torchao.quantization")
    except ImportError as error:
        raise CheckpointError(
            "weights in 8 or 4 bits on a CUDA device need torchao; install it with "
            "`pip install 'longllama-code-lsp[gpu]'`, or set model.dtype to bfloat16."
        ) from error
