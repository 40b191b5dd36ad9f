"""Load a checkpoint folder: LongLLaMA's published layout, or any plain Llama.

No code of a checkpoint runs (``auto_map`` is ignored) and no pickle beyond tensors is read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig

from longllama_code.checkpoints.completeness import check_none_missing, check_shape
from longllama_code.checkpoints.ram import require_room
from longllama_code.checkpoints.weight_files import tensors
from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError
from longllama_code.json_text import as_json
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import Rotary

PLAIN_LLAMA = ("llama", "mistral", "qwen2")
"""Model types with Llama's layers; Qwen2 adds biases to queries, keys and values."""
IGNORED = ("auto_map", "architectures", "transformers_version")
OF_OTHER_LAYERS = ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types")


def load_config(folder: Path, **overrides: Any) -> LongLlamaConfig:
    """Return the configuration of a checkpoint; ``overrides`` replace single fields.

    Raises:
        CheckpointError: the folder holds no configuration of a Llama-shaped model.
    """
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder} has no config.json. Name a folder that holds a checkpoint."
        )
    try:
        fields, _ = PreTrainedConfig.get_config_dict(folder)
        fields = {**fields}  # not a mapping, so not a configuration
    except (OSError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / 'config.json'} is no configuration: {error}") from error
    return config_of(fields, str(folder / "config.json"), **overrides)


def config_of(
    fields: Mapping[str, Any], source: str = "the configuration", **overrides: Any
) -> LongLlamaConfig:
    """Return the configuration for the fields of a ``config.json``.

    Raises:
        CheckpointError: they are of another kind of model, or contradict each other.
    """
    known = {name: value for name, value in fields.items() if name not in IGNORED}
    model_type = known.pop("model_type", None)
    if model_type not in ("longllama", *PLAIN_LLAMA):
        raise CheckpointError(
            f"{source} names model_type {as_json(model_type)}; this package loads "
            f"longllama and {', '.join(PLAIN_LLAMA)}."
        )
    try:
        if model_type in PLAIN_LLAMA:
            known = _as_llama(model_type, known)
        return LongLlamaConfig(**{**known, **overrides})
    except StrictDataclassError as error:
        raise CheckpointError(f"{source} contradicts itself: {error}") from error


def _as_llama(model_type: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of another Llama-shaped model in our terms, including its defaults.

    A sliding window bounds the local window: within it, each layer sees what it saw in training.
    """
    known: dict[str, Any] = AutoConfig.for_model(model_type, **fields).to_dict()
    known["qkv_bias"] = model_type == "qwen2"
    if known.get("sliding_window"):
        most = min(known["max_position_embeddings"], known["sliding_window"])
        known["max_position_embeddings"] = most
    apart = ("model_type", *IGNORED, *OF_OTHER_LAYERS)
    return {name: value for name, value in known.items() if name not in apart}


def write_config(folder: Path, fields: Mapping[str, Any]) -> Path:
    """Put fields into the ``config.json`` of a checkpoint, at once; the rest of it stays.

    Raises:
        CheckpointError: the configuration would contradict itself; the file stays as it was.
    """
    load_config(folder, **fields)
    path = folder / "config.json"
    written = {**json.loads(path.read_text("utf-8")), **fields}
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", "utf-8")
    fresh.replace(path)
    return path


def load_model(
    folder: Path,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    **overrides: Any,
) -> LongLlamaForCausalLM:
    """Load a model in evaluation mode, on ``device``, in ``dtype``.

    Args:
        folder: the checkpoint.
        dtype: the type to compute in.
        device: a torch device.
        overrides: configuration fields to replace, such as ``mem_layers``.

    Raises:
        CheckpointError: weights are missing, damaged or not those the configuration asks for.
    """
    config = load_config(folder, **overrides)
    files = weight_files(folder)
    if device == "cpu":
        require_room(
            _n_weights(config) * dtype.itemsize,
            f"{folder} in {str(dtype).removeprefix('torch.')}",
            "close other programs, or put ':int8' or ':int4' behind the model's name.",
        )
    if is_gguf_file(files[0]):
        filled = _filled(config, files, dtype)
        return cast("Any", filled).to(device).eval()
    read = cast("Callable[..., tuple[Any, dict[str, Any]]]", LongLlamaForCausalLM.from_pretrained)
    try:
        model, loading = read(
            folder,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # to name them below
            weights_only=True,
        )
    except UnpicklingError as error:  # torch's message proposes to run the pickle's code after all
        raise CheckpointError(
            f"a .bin file in {folder} holds more than tensors, and code of a checkpoint is never "
            "run. Convert it to safetensors where you trust it."
        ) from error
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{folder} could not be read: {error}") from error
    _check_complete(folder, loading)
    return model.to(device).eval()


def _filled(
    config: LongLlamaConfig, files: Sequence[Path], dtype: torch.dtype
) -> LongLlamaForCausalLM:
    """Return a model filled from files that transformers does not read.

    Raises:
        CheckpointError: they are not those that the configuration asks for.
    """
    with torch.device("meta"):
        model = LongLlamaForCausalLM(config)
    found: dict[str, Tensor] = {
        name: each.to(dtype) for path in files for name, each in tensors(path)
    }
    wanted = {name: weight.shape for name, weight in dict(model.named_parameters()).items()}
    for name in sorted(found.keys() | wanted.keys()):
        shapes = found[name].shape if name in found else None, wanted.get(name)
        if shapes[0] != shapes[1]:
            has, expected = (None if shape is None else (*shape,) for shape in shapes)
            raise CheckpointError(
                f"{files[0]} has {name!r} of shape {has}, not {expected}; the config.json beside "
                "it belongs to another model."
            )
    model.load_state_dict(found, strict=False, assign=True)
    cast("Any", model).tie_weights()
    model.model.rotary = Rotary(config)  # has tables, which are in no file
    return model


def _n_weights(config: LongLlamaConfig) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in LongLlamaForCausalLM(config).parameters())


def _check_complete(folder: Path, loading: dict[str, Any]) -> None:
    """Refuse a checkpoint that lacks weights; transformers would use random ones instead."""
    check_none_missing(folder, loading["missing_keys"])
    for name, found, wanted in sorted(loading["mismatched_keys"]):
        check_shape(folder, name, found, wanted)
