"""Cache folder of an engine: segments, encoded definitions, and facts about what files define."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longllama_code.definitions.fact_cache import FactCache
from longllama_code.engine_options import EngineOptions
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.paths import cache_root

DEFINITIONS_FOLDER = "definitions"
"""Folder of the facts about files' definitions, in the cache folder, for all models."""
ENCODED_FOLDER = "encoded-definitions"
"""Folder of the encoded definitions, in a model's folder."""
DEFINITION_SHARE = 3 / 4
"""Share of the store's limit for encoded definitions, of models that place them before prompts."""
OPENINGS_FOLDER = "openings"
"""Folder of the processed prompt prefixes, in a model's folder."""
MODEL_NAME_FILE = "model"
"""File with the model's name in its folder, for people who look at their cache."""


@dataclass(frozen=True)
class EngineCache:
    """What an engine keeps on disk, opened."""

    folder: Path
    """Folder of the model."""
    store: SegmentStore
    facts: FactCache
    definitions: KeptDefinitions | None
    """Definitions that are encoded; None for models that get none."""

    @classmethod
    def open(cls, loaded: LoadedModel, options: EngineOptions) -> EngineCache:
        """Open what is kept for a model, within the limit of the options.

        Raises:
            StoreError: a folder cannot be used.
        """
        cache = options.cache_dir or cache_root()
        folder = cache / "memory" / loaded.fingerprint
        definitions = _open_definitions(loaded, folder, options)
        n_others = options.max_store_bytes
        if n_others is not None and definitions is not None:
            n_others -= int(DEFINITION_SHARE * n_others)
        store = loaded.store(folder, n_others)
        return cls(folder, store, FactCache(cache / DEFINITIONS_FOLDER), definitions)


def _open_definitions(
    loaded: LoadedModel, folder: Path, options: EngineOptions
) -> KeptDefinitions | None:
    """Return the definitions that are encoded already; None for models that get none.

    Raises:
        StoreError: the folder cannot be used.
    """
    config = loaded.model.config
    marks = InfillMarks.of(config, loaded.tokenizer)
    if marks is None or not marks.always:
        return None
    most, bits = options.max_store_bytes, 2 if options.compact_definitions else 4
    most = None if most is None else int(DEFINITION_SHARE * most)
    return KeptDefinitions.on_disk(
        folder / ENCODED_FOLDER, config, loaded.fingerprint, most, value_bits=bits
    )
