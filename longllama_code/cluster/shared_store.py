"""Shared segments and snapshots, on a file system or in an object store.

Each segment is a file named by its content and never changed, so that no lock is
needed: concurrent writers write the same bytes. A snapshot is written after all of its segments.
Each machine's own store caches what it reads.
"""

import re
import struct
import zlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from longllama_code.cluster.packages import required
from longllama_code.cluster.snapshots import (
    REVISION,
    Snapshot,
    check_name,
    pack_snapshot,
    unpack_snapshot,
)
from longllama_code.errors import StoreError

HEAD = struct.Struct("<4s4I")
MAGIC = b"LLS1"
N_AT_ONCE = 16
"""Number of files that are read or written at the same time."""
SEGMENT_ID = re.compile(r"[0-9a-f]{32}")

PackedSegment = tuple[Tensor, tuple[int, ...]]
"""Records, uint8 (n, bytes), and the offsets of pages."""


class SharedStore:
    """Segments of one model; thread-safe.

    Args:
        url: folder for fsspec: a path, ``s3://bucket/folder``, ….
        fingerprint: fingerprint of the model; each one has a folder.

    Raises:
        StoreError: it cannot be reached.
    """

    def __init__(self, url: str, fingerprint: str) -> None:
        fsspec = required("fsspec")
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, OSError, ValueError) as error:
            raise StoreError(f"{url} cannot be used as a shared store: {error}") from error
        self._url, self._root = url, f"{root.rstrip('/')}/{fingerprint}"
        self._pool = ThreadPoolExecutor(N_AT_ONCE, "shared store")

    # Segments.

    def missing(self, segment_ids: Collection[str]) -> list[str]:
        """Return the ids that are missing, in order."""
        ids = list(segment_ids)
        there = self._pool.map(self._files.exists, map(self._segment_path, ids))
        return [held for held, is_there in zip(ids, there, strict=True) if not is_there]

    def put(self, segments: Iterable[tuple[str, PackedSegment]]) -> None:
        """Write segments; a second time changes nothing.

        Raises:
            StoreError: it cannot be written.
        """
        list(self._pool.map(self._put_segment, segments))

    def get(self, segment_ids: Collection[str]) -> dict[str, PackedSegment]:
        """Return the segments that are there; a damaged one is not."""
        ids = list(segment_ids)
        found = zip(ids, self._pool.map(self._get_segment, ids), strict=True)
        return {held: packed for held, packed in found if packed is not None}

    # Snapshots.

    def put_snapshot(self, snapshot: Snapshot) -> None:
        """Write a snapshot whose segments are there, as its repository's latest.

        Raises:
            StoreError: it cannot be written.
        """
        folder = self._repository(snapshot.repository)
        self._write(f"{folder}/{snapshot.revision}.json.gz", pack_snapshot(snapshot))
        self._write(f"{folder}/latest", snapshot.revision.encode())

    def latest(self, repository: str) -> str | None:
        """Return the revision that was written last; None if there is none."""
        content = self._read(f"{self._repository(repository)}/latest")
        return None if content is None else content.decode()

    def snapshot(self, repository: str, revision: str) -> Snapshot | None:
        """Return a snapshot; None if there is none."""
        if not REVISION.fullmatch(revision):
            return None
        content = self._read(f"{self._repository(repository)}/{revision}.json.gz")
        return None if content is None else unpack_snapshot(content)

    def _repository(self, name: str) -> str:
        return f"{self._root}/repositories/{check_name(name)}"

    def _segment_path(self, segment_id: str) -> str:
        if not SEGMENT_ID.fullmatch(segment_id):
            raise StoreError(f"{segment_id!r} is no id of a segment.")
        return f"{self._root}/segments/{segment_id[:2]}/{segment_id}"

    def _put_segment(self, segment: tuple[str, PackedSegment]) -> None:
        segment_id, (records, offsets) = segment
        self._write(self._segment_path(segment_id), pack_segment(records, offsets))

    def _get_segment(self, segment_id: str) -> PackedSegment | None:
        content = self._read(self._segment_path(segment_id))
        return None if content is None else unpack_segment(content)

    def _read(self, path: str) -> bytes | None:
        try:
            return self._files.cat_file(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{self._url} cannot be read: {error}") from error

    def _write(self, path: str, content: bytes) -> None:
        """Write a file so that nobody sees half of it."""
        try:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            if not self._is_on_disk:  # an object appears when it is complete
                self._files.pipe_file(path, content)
                return
            half = f"{path}.{uuid4().hex}"
            self._files.pipe_file(half, content)
            self._files.mv(half, path)
        except OSError as error:
            raise StoreError(f"{self._url} cannot be written: {error}") from error

    @property
    def _is_on_disk(self) -> bool:
        protocol: Any = self._files.protocol
        return "file" in ([protocol] if isinstance(protocol, str) else protocol)


def pack_segment(records: Tensor, offsets: Collection[int]) -> bytes:
    """Return a segment as bytes: a head with a checksum, where pages begin, and the records."""
    body = np.array([*offsets], "<i4").tobytes() + records.contiguous().cpu().numpy().tobytes()
    head = HEAD.pack(MAGIC, *records.shape, len(offsets), zlib.crc32(body))
    return head + body


def unpack_segment(content: bytes) -> PackedSegment | None:
    """Return a segment from its bytes; None if they are damaged."""
    if len(content) < HEAD.size:
        return None
    magic, n_tokens, n_bytes, n_offsets, checksum = HEAD.unpack_from(content)
    body = memoryview(content)[HEAD.size :]
    is_whole = len(body) == 4 * n_offsets + n_tokens * n_bytes
    if magic != MAGIC or not is_whole or zlib.crc32(body) != checksum:
        return None
    offsets = np.frombuffer(body[: 4 * n_offsets], "<i4").tolist()
    records = np.frombuffer(body[4 * n_offsets :], np.uint8).reshape(n_tokens, n_bytes).copy()
    return torch.from_numpy(records), tuple(offsets)
