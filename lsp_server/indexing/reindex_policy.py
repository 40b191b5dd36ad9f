"""Decides what becomes of a file: it stays as it is, is read again, or is left out of memory.

Pure functions over what is known of files. ``MemoryBudget`` supplies the facts, and ``MemoryPlan``
carries the decisions out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

from longllama_code.source_files.source_text import Exclusion, SourceError
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.file_table import FileState, TrackedFile, Urgency
from lsp_server.indexing.throughput import BYTES_PER_TOKEN

# Reasons for leaving a file out, besides those of `Exclusion`.
BUDGET, FAILED, CRASHES_ENGINE = "budget", "failed", "crashes_engine"

MAX_CRASHES = 2
"""Crashes of the engine over one file after which the file is left out."""


class Action(Enum):
    """What to do with a file."""

    KEEP = auto()
    READ = auto()
    LEAVE_OUT = auto()


@dataclass(frozen=True)
class Decision:
    """An action, with the reason if a file is left out."""

    action: Action
    reason: str | None = None


KEEP, READ = Decision(Action.KEEP), Decision(Action.READ)


def leave_out(reason: str) -> Decision:
    """Return the decision to leave a file out."""
    return Decision(Action.LEAVE_OUT, reason)


# Decisions on one file.


def after_scan(
    known: TrackedFile | None,
    seen: TrackedFile,
    urgency: Urgency,
    exclusion: Exclusion | None,
    *,
    has_open_text: bool,
) -> Decision:
    """Decide on a file that was found on disk.

    Args:
        known: its record before the scan; None for a new file.
        seen: its record as of the scan.
        urgency: why it was scanned.
        exclusion: why the workspace's rules exclude it, if they do.
        has_open_text: whether it is open in the editor, and not empty there.
    """
    is_empty_on_disk_only = exclusion is Exclusion.EMPTY and has_open_text
    if exclusion is not None and not is_empty_on_disk_only:
        return leave_out(exclusion.value)
    return READ if must_be_read(known, seen, urgency) else KEEP


def after_error(error: Exception, n_crashes: int) -> Decision:
    """Decide on a file that could not be remembered.

    Args:
        error: why.
        n_crashes: crashes of the engine over this file, this one included.
    """
    if isinstance(error, SourceError):
        return leave_out(error.exclusion.value)
    if isinstance(error, EngineAway):
        return READ
    if isinstance(error, EngineGone):
        return READ if n_crashes < MAX_CRASHES else leave_out(CRASHES_ENGINE)
    return leave_out(FAILED)


def after_engine_start(file: TrackedFile, *, is_limited: bool) -> Decision:
    """Decide on a file when an engine is ready whose memory is empty.

    Args:
        file: its record.
        is_limited: whether the memory budget applies to this engine.
    """
    is_let_in = file.reason == BUDGET and not is_limited
    return READ if is_let_in or file.state is not FileState.LEFT_OUT else KEEP


def after_reindex_command(file: TrackedFile) -> Decision:
    """Decide on a file when the user asks to read everything again."""
    return READ if file.state is FileState.IN_MEMORY or would_fail_again(file) else KEEP


def before_remembering(file: TrackedFile, urgency: Urgency, free_tokens: int) -> Decision:
    """Decide on a file whose turn it is, with so many tokens left in the budget."""
    is_too_large = free_tokens < estimated_tokens(file)
    return leave_out(BUDGET) if is_too_large and yields_to_budget(file, urgency) else READ


def must_be_read(known: TrackedFile | None, seen: TrackedFile, urgency: Urgency) -> bool:
    """Whether a file is to be remembered, for the first time or again; see ``after_scan``."""
    if known is None:
        return True
    is_same = known.same_on_disk(seen)
    if would_fail_again(known) and is_same:
        return False
    is_in_memory = known.state is FileState.IN_MEMORY and is_same
    if urgency is Urgency.CHANGED:  # the watcher and the client may report the same change
        return not (is_in_memory and known.has_rested)
    return urgency is Urgency.OPEN or not is_in_memory


def would_fail_again(file: TrackedFile) -> bool:
    """Whether a file was left out because of its text, which would fail again if unchanged."""
    return file.reason in (FAILED, CRASHES_ENGINE)


def yields_to_budget(file: TrackedFile, urgency: Urgency) -> bool:
    """Whether a file is left out if there is no room; other files make room otherwise."""
    return urgency is Urgency.REST and not file.n_tokens


def estimated_tokens(file: TrackedFile) -> int:
    """Estimate the tokens of a file that was never remembered, from its size."""
    return file.size_bytes // BYTES_PER_TOKEN


# Decisions on all files, which come most valuable first.


def to_leave_out(files: Sequence[TrackedFile], excess_tokens: int) -> list[TrackedFile]:
    """Return the last files, as few as hold the excess; all of them if they hold less."""
    last = files[::-1]
    freed = accumulate((file.n_tokens for file in last), initial=0)
    return [file for file, before in zip(last, freed, strict=False) if before < excess_tokens]


def to_take_back(files: Sequence[TrackedFile], free_tokens: int) -> list[TrackedFile]:
    """Return the files left out for the budget that are estimated to fit now."""
    fitting: list[TrackedFile] = []
    for file in files:
        n_tokens = estimated_tokens(file)
        if file.reason == BUDGET and n_tokens <= free_tokens:
            fitting.append(file)
            free_tokens -= n_tokens
    return fitting


def split_by_budget(
    files: Sequence[TrackedFile], max_tokens: int
) -> tuple[list[TrackedFile], list[TrackedFile]]:
    """Split files that are in memory, or were left out for the budget, by whether they fit.

    Files that wait take their share of the budget, and are in neither list.

    Returns:
        Files that belong into memory, and files that do not.
    """
    fitting: list[TrackedFile] = []
    exceeding: list[TrackedFile] = []
    free_tokens = max_tokens
    for file in files:
        is_candidate = file.state is FileState.IN_MEMORY or file.reason == BUDGET
        if not is_candidate and file.state is not FileState.WAITING:
            continue
        n_tokens = file.n_tokens or estimated_tokens(file)
        fits = n_tokens <= free_tokens
        free_tokens -= n_tokens if fits else 0
        if is_candidate:
            (fitting if fits else exceeding).append(file)
    return fitting, exceeding
