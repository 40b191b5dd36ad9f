"""Model folders for the user's own GGUF files.

    ~/models/some.gguf ──▶ <cache_root>/models/gguf-some-<hash>/   a link, and what belongs to it

A folder appears complete or not at all, and is never changed. Its hash covers the file's path,
size and time, and the version of linking.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from filelock import FileLock

from longllama_code.errors import ModelNotFound
from longllama_code.gguf.file import GGUF_NAME, is_gguf, part_paths
from longllama_code.model_sources.gguf_folders import link_gguf
from longllama_code.model_sources.model_folders import building

LINKING = 1
"""Version of the configuration and tokenizer that are derived; a new one links files again."""
_MOST_NAME_CHARS = 48


def names_gguf(path: Path) -> bool:
    """Whether a path names a GGUF file, by its suffix or by the file's first bytes."""
    return path.suffix == ".gguf" or (path.is_file() and is_gguf(path))


def gguf_folder(path: Path, root: Path) -> Path:
    """Return the model folder of a GGUF file, made on first use.

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
            with building(folder) as partial:
                link_gguf(path, partial, {})
    return folder


def _folder_name(path: Path) -> str:
    real = path.resolve()
    identity: list[object] = [LINKING]
    for part in part_paths(path):
        identity.append(str(part.resolve()))
        if part.is_file():  # a missing part is reported when the file is read
            stat = part.stat()
            identity.append((stat.st_size, stat.st_mtime_ns))
    plain = re.sub(r"[^\w.-]", "-", real.stem)[:_MOST_NAME_CHARS]
    return f"gguf-{plain}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}"


def _is_complete(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / GGUF_NAME).is_file()
