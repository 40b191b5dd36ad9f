"""Machine, code and weights, on which the times and texts of answers depend."""

import hashlib
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from longllama_code.errors import CheckpointError, ModelNotFound
from longllama_code.gguf.file import GGUF_NAME
from longllama_code.model_sources.catalog import model_dir
from longllama_code.model_sources.default_model import chosen_model
from lsp_server import __version__

Json = dict[str, Any]

FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")
"""CPU flags that matter to matrix products."""
_CHUNK = 1 << 22
_WEIGHTS = (".safetensors", ".gguf", ".bin", ".json", ".model")


def machine() -> Json:
    """Describe the machine."""
    model, flags = _cpu()
    return {
        "cpu": model,
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": psutil.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": round(psutil.getloadavg()[0], 1),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _cpu() -> tuple[str, set[str]]:
    """Return the processor's name, and on Linux its flags."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return name, flags
    for line in path.read_text("utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() == "flags":
            flags = set(value.split())
    return name, flags


def commit() -> str:
    """Return the commit of the running code, or its version outside of a checkout."""
    folder = Path(__file__).parents[2]
    try:
        head = _git(folder, "rev-parse", "--short=10", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "..")
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{head}, changed" if changed else head


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.strip()


def weights_folder(model: str) -> Path | None:
    """Return the file or folder of a model's weights; None if it has none on this machine."""
    path = Path(model).expanduser()
    if path.exists():
        return path
    try:
        return model_dir(chosen_model(model).name)
    except (ModelNotFound, CheckpointError):
        return None


def gguf_of(model: str) -> Path | None:
    """Return the GGUF file of a model; None if its weights are not in that form, or not here."""
    path = weights_folder(model)
    if path is not None and path.is_dir():
        path /= GGUF_NAME
    return path if path is not None and path.is_file() and path.suffix == ".gguf" else None


def weights_digest(model: str) -> str | None:
    """Return the sha256 of a model's weights; None if it has none on this machine."""
    path = weights_folder(model)
    if path is None:
        return None
    digest = hashlib.sha256()
    for each in [path] if path.is_file() else sorted(path.iterdir()):
        if each.is_file() and each.suffix in _WEIGHTS:
            with each.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    return digest.hexdigest()
