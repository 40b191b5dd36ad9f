"""``longllama cluster index``: encode a repository into the stores on all of Ray's workers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from longllama_code.cluster.bulk import BulkEncoder, Progress
from longllama_code.cluster.encoding import ModelFacts, ModelPlace, facts_of
from longllama_code.cluster.ray_workers import RayWorkers, connect
from longllama_code.cluster.shared_store import SharedStore
from longllama_code.cluster.snapshots import Snapshot, check_name
from longllama_code.generation.engine_cache import MODEL_NAME_FILE
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.model_sources.default_model import USUAL
from longllama_code.paths import cache_root


@dataclass(frozen=True)
class IndexOptions:
    """Options of bulk encoding."""

    model: str = USUAL
    device: str = "auto"
    dtype: str = "auto"
    store: str | None = None
    """URL of the shared store; None writes this machine's own only."""
    cache_dir: Path | None = None
    address: str | None = None
    """Address of a Ray cluster; None starts one here."""
    cpus: float = 1
    gpus: float = 0


def index(
    repository: str,
    revision: str,
    files: Iterable[tuple[str, str]],
    options: IndexOptions,
    say: Callable[[Progress], None] = lambda _: None,
) -> Snapshot:
    """Encode the files of a repository at a revision, given as path and text.

    Raises:
        ConfigError: Ray is not installed, or the repository's name is none.
        StoreError: a store cannot be written.
        CheckpointError: a worker has another model.
    """
    check_name(repository)
    workers = RayWorkers(connect(options.address), options.cpus, options.gpus)
    place = ModelPlace(options.model, options.device, options.dtype, max(1, int(options.cpus)))
    facts: ModelFacts = workers.result(workers.call(facts_of, place))
    store = open_store(options.cache_dir, facts)
    shared = SharedStore(options.store, facts.fingerprint) if options.store else None
    try:
        return BulkEncoder(workers, place, facts, store, shared).run(
            repository, revision, files, say
        )
    finally:
        store.close()


def open_store(cache_dir: Path | None, facts: ModelFacts) -> SegmentStore:
    """Open this machine's store of a model's segments, which its engines read.

    Raises:
        StoreError: it cannot be written.
    """
    folder = (cache_dir or cache_root()) / "memory" / facts.fingerprint
    store = SegmentStore(folder, facts.record_bytes)
    (folder / MODEL_NAME_FILE).write_text(facts.name, "utf-8")
    return store
