"""Weights in 8 or 4 bits on a CUDA device, by torchao: its kernels read them as they are kept.

    int8   one scale for each row (output)
    int4   a scale and an offset for each 32 weights, in the order of the tensor cores' tiles

torchao comes with the extra ``gpu`` and is imported when it is needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from longllama_code.errors import CheckpointError
from longllama_code.kernels.codegen.weight_layouts import GROUP
from longllama_code.model.rounded.quantized import Kind


def uses_torchao(device: torch.device) -> bool:
    """Whether weights are rounded by torchao there."""
    return device.type == "cuda"


def torchao_linear(weight: Tensor, kind: Kind, bias: nn.Parameter | None = None) -> nn.Linear:
    """A linear map whose weight (out, in), where it is, is rounded by torchao.

    Args:
        weight: in the type that is computed in; in 4 bits bfloat16.
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


def _config(quantization: Any, kind: Kind) -> Any:
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
            "`pip install 'longllama-code-lsp[gpu]'`, or take model.dtype bfloat16."
        ) from error
