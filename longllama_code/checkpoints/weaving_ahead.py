"""Weave the weights of a GGUF file on other threads, while an engine imports its modules.

    begin(path)   ──▶ threads: open the file, weave its matrices, some at a time
    opened(path)  ──▶ the open file, and what is or will be woven of each of its matrices

Both take about as long; weaving needs neither torch nor Python's global lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from longllama_code.checkpoints.completeness import EMBEDDING
from longllama_code.gguf.file import GgufFile, GgufTensor
from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.vectors import HAS_BYTE_DOTS
from longllama_code.kernels.matrices.blocks import BlockRows
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.matrices.weaving_together import weave_together
from longllama_code.kernels.weaving import Bytes

BATCH_BYTES = 24 << 20
"""Least bytes of matrices that are woven without looking up. On a busy machine, a thread that asks
for Python's lock has the one that imports lose its turn."""


@dataclass(frozen=True)
class OpenedFile:
    """A GGUF file, and its woven matrices."""

    file: GgufFile
    woven: Mapping[str, Future[Bytes]] = field(default_factory=dict[str, "Future[Bytes]"])
    """By the tensor's name, if it is being woven already."""

    def rows(self, tensor: GgufTensor) -> BlockRows:
        """Return a matrix in the file's blocks, of a kind that kernels read."""
        return BlockRows(
            tensor.kind.name, tensor.blocks, tensor.shape[1], self.woven.get(tensor.name)
        )


_begun: dict[Path, Future[OpenedFile]] = {}
"""Files whose weights are being woven, and that nobody has opened yet."""


def begin(path: Path, n_threads: int) -> None:
    """Open a file and weave its weights, on threads; does nothing if this CPU reads blocks.

    Args:
        path: the file, or the first part of a split one. If it cannot be read, ``opened`` will say
            so.
        n_threads: threads that weave.
    """
    if HAS_BYTE_DOTS:
        opening = _begun[path] = Future[OpenedFile]()
        Thread(target=_weave, args=(path, n_threads, opening), daemon=True).start()


def opened(path: Path) -> OpenedFile:
    """Return a file, opened already if its weights are being woven.

    Raises:
        CheckpointError: see ``GgufFile.open``.
    """
    opening = _begun.pop(path, None)
    return OpenedFile(GgufFile.open(path)) if opening is None else opening.result()


def _weave(path: Path, n_threads: int, opening: Future[OpenedFile]) -> None:
    try:
        file = GgufFile.open(path)
        tensors = [*_multiplied(file)] if have_kernels(file) else []
        woven = {tensor.name: Future[Bytes]() for tensor in tensors}
        room = Room()
        opening.set_result(OpenedFile(file, woven))
        with ThreadPoolExecutor(n_threads) as weavers:
            for batch in _batches(tensors):
                weavers.submit(_fill, woven, batch, room)
    except Exception as error:  # for the thread that calls ``opened``
        opening.set_exception(error)


def have_kernels(file: GgufFile) -> bool:
    """Whether some matrices are in blocks that kernels read, and no row ends within a chunk."""
    matrices = [tensor for tensor in file.tensors() if len(tensor.shape) == 2]
    return all(tensor.shape[1] % CHUNK == 0 for tensor in matrices) and any(
        BlockRows.has_kernel(tensor.kind.name) for tensor in matrices
    )


def _multiplied(file: GgufFile) -> Iterator[GgufTensor]:
    """Yield the tensors with whose blocks kernels multiply."""
    for tensor in file.tensors():
        is_matrix = len(tensor.shape) == 2 and BlockRows.has_kernel(tensor.kind.name)
        if is_matrix and (tensor.name != EMBEDDING or file.fields["tie_word_embeddings"]):
            yield tensor


def _batches(tensors: Iterable[GgufTensor]) -> Iterator[list[GgufTensor]]:
    batch, n_bytes = list[GgufTensor](), 0
    for tensor in tensors:
        batch.append(tensor)
        n_bytes += tensor.rows.nbytes
        if n_bytes >= BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    yield batch


def _fill(woven: Mapping[str, Future[Bytes]], batch: Sequence[GgufTensor], room: Room) -> None:
    """Weave matrices, but for those that somebody who needs them began to."""
    mine = [tensor for tensor in batch if woven[tensor.name].set_running_or_notify_cancel()]
    try:
        rows = [BlockRows(one.kind.name, one.blocks, one.shape[1]).known for one in mine]
        for tensor, result in zip(mine, weave_together(rows, room), strict=True):
            woven[tensor.name].set_result(result)
    except Exception as error:  # for the thread that needs the weights
        for tensor in mine:
            woven[tensor.name].set_exception(error)
