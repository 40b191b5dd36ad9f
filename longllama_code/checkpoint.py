"""Loading a checkpoint folder: LongLLaMA's published layout, or any plain Llama.

No code of a checkpoint runs (``auto_map`` is ignored) and no pickle beyond tensors is read.
"""

from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedConfig

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError
from longllama_code.model.modeling import LongLlamaForCausalLM

PLAIN_LLAMA = ("llama", "mistral")
WEIGHTS = ("*.safetensors", "*.bin")


def load_config(folder: Path, **overrides: Any) -> LongLlamaConfig:
    """The configuration of a checkpoint; ``overrides`` replace single fields.

    Raises:
        CheckpointError: the folder holds no configuration of a Llama-shaped model.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} has no config.json. Name a folder that holds a checkpoint.")
    fields, _ = PreTrainedConfig.get_config_dict(folder)
    model_type = fields.pop("model_type", None)
    if model_type not in ("longllama", *PLAIN_LLAMA):
        raise CheckpointError(
            f"{folder / 'config.json'} names model_type {model_type!r}; this package loads "
            f"longllama and {', '.join(PLAIN_LLAMA)}."
        )
    for ignored in ("auto_map", "architectures", "transformers_version"):
        fields.pop(ignored, None)
    return LongLlamaConfig(**{**fields, **overrides})


def load_model(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    **overrides: Any,
) -> LongLlamaForCausalLM:
    """A model ready to run: evaluation mode, on ``device``, in ``dtype``.

    Args:
        folder: the checkpoint.
        dtype: the type to compute in.
        device: a torch device.
        overrides: configuration fields to replace, such as ``mem_layers``.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for.
    """
    config = load_config(folder, **overrides)
    if not any(any(folder.glob(pattern)) for pattern in WEIGHTS):
        raise CheckpointError(f"{folder} has no weights ({' or '.join(WEIGHTS)}).")
    try:
        model, loading = LongLlamaForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, output_loading_info=True, weights_only=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder} could not be read: {error}") from error
    if loading["missing_keys"]:
        names = sorted(loading["missing_keys"])
        raise CheckpointError(
            f"{folder} lacks {len(names)} weights, the first of them {names[0]!r}; "
            "the checkpoint is incomplete or its config.json belongs to another model."
        )
    return cast("LongLlamaForCausalLM", model).to(device).eval()
