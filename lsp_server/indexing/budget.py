"""Which files have a place in memory, where not all fit. Files come in the order of their worth."""

from collections.abc import Sequence
from itertools import accumulate

from lsp_server.indexing.file_table import FileState, TrackedFile
from lsp_server.indexing.throughput import BYTES_PER_TOKEN

BUDGET = "budget"
"""Why a file is left out that had no place."""


def guessed_tokens(file: TrackedFile) -> int:
    """How many tokens a file may have that was never remembered."""
    return file.size_bytes // BYTES_PER_TOKEN


def too_many(files: Sequence[TrackedFile], excess: int) -> list[TrackedFile]:
    """The last of the files, as few as have so many tokens together; all, if they have not."""
    last = files[::-1]
    freed = accumulate((file.n_tokens for file in last), initial=0)
    return [file for file, before in zip(last, freed, strict=False) if before < excess]


def fit_again(files: Sequence[TrackedFile], room: int) -> list[TrackedFile]:
    """Of the files that were left out for want of room, those that may fit into so many tokens."""
    fitting: list[TrackedFile] = []
    for file in files:
        n_tokens = guessed_tokens(file)
        if file.reason == BUDGET and n_tokens <= room:
            fitting.append(file)
            room -= n_tokens
    return fitting


def split(
    files: Sequence[TrackedFile], max_tokens: int
) -> tuple[list[TrackedFile], list[TrackedFile]]:
    """Files that are in memory, or were left out for want of room: who should be in, and who not.

    They are known by their tokens or a guess of them. What waits has its place already, if it fits.
    """
    wanted: list[TrackedFile] = []
    unwanted: list[TrackedFile] = []
    room = max_tokens
    for file in files:
        has_place = file.state is FileState.IN_MEMORY or file.reason == BUDGET
        if not has_place and file.state is not FileState.WAITING:
            continue
        n_tokens = file.n_tokens or guessed_tokens(file)
        fits = n_tokens <= room
        room -= n_tokens if fits else 0
        if has_place:
            (wanted if fits else unwanted).append(file)
    return wanted, unwanted
