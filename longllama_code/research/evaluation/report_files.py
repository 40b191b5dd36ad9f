"""Parts of reports that all evaluations share: JSON files, and what identifies a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longllama_code.generation.models import LoadedModel


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report.

    Raises:
        ValueError: a number is infinite or not a number, which JSON cannot express.
    """
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", "utf-8")


def model_identity(loaded: LoadedModel) -> dict[str, Any]:
    """Return the name, fingerprint, type and device of a model, as plain values."""
    return {
        "name": loaded.name,
        "fingerprint": loaded.fingerprint,
        "dtype": str(loaded.model.dtype).removeprefix("torch."),
        "device": loaded.model.device.type,
    }


def memory_identity(loaded: LoadedModel) -> dict[str, Any]:
    """Return what `model_identity` has, and how memory layers see memory."""
    config = loaded.model.config
    return {
        **model_identity(loaded),
        "mem_layers": list(config.mem_layers),
        "mem_top_k": config.mem_top_k,
    }
