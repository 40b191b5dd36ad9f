"""Bulk encoding: many workers encode, one writer stores the results in order.

So the store equals that of a single machine, record by record. Segments that it or the shared store
has are not encoded again: an interrupted run resumes, and a second one does
nothing. A worker that dies is replaced by Ray, which gives its task to another.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch

from longllama_code.cluster.encoding import (
    CutFile,
    ModelFacts,
    ModelPlace,
    Packed,
    Wanted,
    cut_files,
    encode_segments,
)
from longllama_code.cluster.shared_store import PackedSegment, SharedStore
from longllama_code.cluster.snapshots import Snapshot, SnapshotFile
from longllama_code.memory.segments.identity import path_header
from longllama_code.memory.storage.store import SegmentStore

BATCH_CHARS = 16_000
"""Characters of the files that are cut together."""
TASK_SEGMENTS = 8
"""Segments of a task, which is the most that a dying worker loses."""


class Workers(Protocol):
    """Runs functions on workers."""

    n_at_once: int
    """Number of calls that keep all workers busy."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function called, later and elsewhere; what stands for its result."""
        ...

    def result(self, call: Any) -> Any:
        """Return the result of a call."""
        ...


@dataclass(frozen=True)
class Progress:
    """Progress of bulk encoding."""

    n_files: int = 0
    n_tokens: int = 0
    n_encoded: int = 0
    """Segments that workers encoded."""
    n_loaded: int = 0
    """Segments that the shared store had."""
    n_kept: int = 0
    """Segments that this machine's store had."""


@dataclass
class _Batch:
    """Files that are being encoded."""

    files: list[CutFile]
    calls: list[Any] = field(default_factory=list[Any])
    """Pending calls, each of which returns some segments."""


class BulkEncoder:
    """Encodes files in their order.

    Args:
        workers: run the functions.
        place: the model on the workers.
        facts: properties of the model.
        store: this machine's store, which nothing else writes meanwhile.
        shared: the shared store, if there is one.
    """

    def __init__(
        self,
        workers: Workers,
        place: ModelPlace,
        facts: ModelFacts,
        store: SegmentStore,
        shared: SharedStore | None = None,
    ) -> None:
        self._workers, self._place, self._facts = workers, place, facts
        self._store, self._shared = store, shared
        self._asked: set[str] = set()
        self.progress = Progress()

    def run(
        self,
        repository: str,
        revision: str,
        files: Iterable[tuple[str, str]],
        say: Callable[[Progress], None] = lambda _: None,
    ) -> Snapshot:
        """Encode files, given as path and text, and publish them where there is a shared store.

        Raises:
            StoreError: a store cannot be written.
        """
        made: list[SnapshotFile] = []
        for batch in self._ahead(files):
            self._write(batch)
            made += [self._described(file) for file in batch.files]
            tokens = sum(file.n_tokens for file in made[-len(batch.files) :])
            self.progress = replace(
                self.progress,
                n_files=len(made),
                n_tokens=self.progress.n_tokens + tokens,
            )
            say(self.progress)
        snapshot = Snapshot(repository, revision, tuple(made))
        if self._shared is not None:
            self._shared.put_snapshot(snapshot)
        return snapshot

    def _ahead(self, files: Iterable[tuple[str, str]]) -> Iterator[_Batch]:
        """Yield batches in order, while workers encode the next ones."""
        n_ahead = 2 * self._workers.n_at_once
        cuts = self._cuts(files)
        cutting: deque[Any] = deque()
        encoding: deque[_Batch] = deque()
        is_all = False
        while True:
            while not is_all and len(cutting) + len(encoding) < 2 * n_ahead:
                call = next(cuts, None)
                is_all = call is None
                cutting.extend([] if is_all else [call])
            while cutting and len(encoding) < n_ahead:
                encoding.append(self._begin(self._workers.result(cutting.popleft())))
            if not encoding:
                return
            yield encoding.popleft()

    def _cuts(self, files: Iterable[tuple[str, str]]) -> Iterator[Any]:
        for batch in batches(files):
            yield self._workers.call(cut_files, self._place, batch)

    def _begin(self, files: list[CutFile]) -> _Batch:
        """Have encoded what nobody has; what the shared store has comes from there."""
        wanted = {
            held: Wanted(held, path_header(file.path), file.part(index))
            for file in files
            for index, held in enumerate(file.segment_ids)
            if held not in self._asked and held not in self._store
        }
        self._asked.update(wanted)
        there = self._shared.get(wanted) if self._shared is not None else {}
        batch = _Batch(files, [_packed(there)] if there else [])
        self.progress = replace(self.progress, n_loaded=self.progress.n_loaded + len(there))
        rest = [segment for held, segment in wanted.items() if held not in there]
        for start in range(0, len(rest), TASK_SEGMENTS):
            some = rest[start : start + TASK_SEGMENTS]
            arguments = self._place, self._facts.fingerprint, some
            batch.calls.append(self._workers.call(encode_segments, *arguments))
        self.progress = replace(self.progress, n_encoded=self.progress.n_encoded + len(rest))
        return batch

    def _write(self, batch: _Batch) -> None:
        """Put a batch as a single machine would: file by file, segment by segment."""
        made: dict[str, Packed] = {}
        for call in batch.calls:
            some = call if isinstance(call, list) else self._workers.result(call)
            made.update((segment.id, segment) for segment in some)
        for file in batch.files:
            if self._store.pieces(file.id) is None:
                self._store.put_pieces(file.id, list(file.pieces))
            for held in file.segment_ids:
                if (segment := made.get(held)) is not None:
                    records = torch.from_numpy(segment.records.copy())
                    self._store.put(held, records, segment.page_offsets)
        self._publish(batch, made)

    def _publish(self, batch: _Batch, made: Collection[str]) -> None:
        """Let everybody have a batch; what was made just now is not there yet."""
        if self._shared is None:
            return
        held = dict.fromkeys(held for file in batch.files for held in file.segment_ids)
        kept = self._shared.missing([id for id in held if id not in made])
        fresh = [id for id in held if id in made]
        self._shared.put((id, self._stored(id)) for id in (*kept, *fresh))

    def _stored(self, segment_id: str) -> PackedSegment:
        found = self._store.find(segment_id)
        assert found is not None, "it was put just now"
        return self._store.content(found), found.page_offsets

    def _described(self, file: CutFile) -> SnapshotFile:
        found = [self._store.find(held) for held in dict.fromkeys(file.segment_ids)]
        n_tokens = sum(segment.n_tokens for segment in found if segment is not None)
        return SnapshotFile(file.path, file.text, file.pieces, file.segment_ids, n_tokens)


def batches(files: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Yield files, as many together as make up enough text."""
    batch: list[tuple[str, str]] = []
    n_chars = 0
    for path, text in files:
        batch.append((path, text))
        n_chars += len(text)
        if n_chars >= BATCH_CHARS:
            yield batch
            batch, n_chars = [], 0
    if batch:
        yield batch


def _packed(segments: dict[str, PackedSegment]) -> list[Packed]:
    return [Packed(held, records.numpy(), offsets) for held, (records, offsets) in segments.items()]
