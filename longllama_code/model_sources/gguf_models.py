"""Model folders for GGUF files of the user's, wherever they lie.

    ~/models/some.gguf ──▶ <cache_root>/models/gguf-some-<hash>/   a link, and what belongs to it

A folder appears whole or not at all, and is never written again. Its hash covers where the file
lies, its size and time, and how folders are made: another file, another folder.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from filelock import FileLock

from longllama_code.errors import ModelNotFound
from longllama_code.gguf.file import GGUF_NAME, is_gguf, part_paths
from longllama_code.model_sources.gguf_folders import link_gguf

LINKING = 1
"""Raised when the same GGUF gets another configuration or tokenizer, so that it is linked anew."""
_MOST_NAME_CHARS = 48


def names_gguf(path: Path) -> bool:
    """Whether a path is meant as a GGUF file: by its ending, or by what the file begins with."""
    return path.suffix == ".gguf" or (path.is_file() and is_gguf(path))


def gguf_folder(path: Path, root: Path) -> Path:
    """The model folder of a GGUF file, made on first use.

    Safe to call from several processes: the first does the work, the others wait.

    Args:
        path: the file; the first part of a split one.
        root: our cache folder.

    Raises:
        ModelNotFound: there is no such file.
        CheckpointError: it is damaged, or no model that is read.
    """
    if not path.is_file():
        raise ModelNotFound(f"there is no file '{path}': correct the path of the GGUF file")
    folder = root / "models" / _folder_name(path)
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _is_complete(folder):
            _build(path, folder)
    return folder


def _folder_name(path: Path) -> str:
    real = path.resolve()
    identity: list[object] = [LINKING]
    for part in part_paths(path):
        identity.append(str(part.resolve()))
        if part.is_file():  # one that is missing is reported when they are read
            stat = part.stat()
            identity.append((stat.st_size, stat.st_mtime_ns))
    plain = re.sub(r"[^\w.-]", "-", real.stem)[:_MOST_NAME_CHARS]
    return f"gguf-{plain}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}"


def _is_complete(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / GGUF_NAME).is_file()


def _build(path: Path, folder: Path) -> None:
    """Build beside the folder, then rename; the caller holds the lock, so leftovers are ours."""
    partial = folder.with_name(f"{folder.name}.partial")
    for leftover in (partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    try:
        link_gguf(path, partial, {})
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
