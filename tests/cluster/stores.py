"""The store that one machine makes, and what is compared of two stores."""

import sqlite3
from pathlib import Path
from typing import Any

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine


def one_machine(model: str, cache: Path, files: dict[str, str]) -> int:
    """What an engine writes that remembers the files in their order; how many tokens."""
    engine = Engine.open(EngineOptions(model, cache))
    for path, text in files.items():
        for _ in engine.remember(path, text):
            pass
    n_tokens = engine.status().n_tokens
    engine.close()
    return n_tokens


def content(cache: Path) -> tuple[bytes, list[Any], list[Any]]:
    """Records, byte for byte, and the manifest without the times of use."""
    (folder,) = (cache / "memory").iterdir()
    (records,) = folder.glob("records-*.bin")
    manifest = sqlite3.connect(folder / "manifest.sqlite")
    columns = "id, start, n_tokens, checksum, page_offsets"
    segments = manifest.execute(f"SELECT {columns} FROM segments ORDER BY start").fetchall()
    pieces = manifest.execute("SELECT id, pieces FROM files ORDER BY id").fetchall()
    manifest.close()
    return records.read_bytes(), segments, pieces
