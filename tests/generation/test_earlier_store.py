"""Memory that an earlier version encoded is read, and not encoded again.

``tests/data/store_of_tiny.zip`` was written by the tiny model of version 0.2: the store goes by
weights, configuration and encoder, not by where code lies or what loads a model.
"""

import zipfile
from pathlib import Path

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from tests.conftest import finish
from tests.paths import DATA

TEXT = "".join(
    f"def area_{n}(width, height):\n    return width * height * {n}\n\n\n" for n in range(6)
)


def test_a_store_of_an_earlier_version_serves(tmp_path: Path) -> None:
    with zipfile.ZipFile(DATA / "store_of_tiny.zip") as written:
        written.extractall(tmp_path)
    engine = Engine.open(EngineOptions("tiny", cache_dir=tmp_path))
    try:
        known = finish(engine.remember("shapes.py", TEXT))
        new = finish(engine.remember("other.py", TEXT.replace("area", "volume")))
    finally:
        engine.close()
    assert (known.n_segments, known.n_loaded, known.n_encoded) == (2, 2, 0)
    assert new.n_encoded > 0
