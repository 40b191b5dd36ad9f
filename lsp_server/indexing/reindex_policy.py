"""What is to become of a file that was seen: rules, over what is known of it."""

from lsp_server.indexing.file_table import FileState, TrackedFile, Urgency

FAILED = "failed"
CRASHES_ENGINE = "crashes_engine"


def would_fail_again(file: TrackedFile) -> bool:
    """Whether its text, as it was, is why it was left out."""
    return file.reason in (FAILED, CRASHES_ENGINE)


def must_be_read(known: TrackedFile | None, now: TrackedFile, urgency: Urgency) -> bool:
    """Whether a file is to be remembered, for the first time or again.

    Args:
        known: what was known of it; None where nothing was.
        now: as it is on the disk.
        urgency: why it was looked at.
    """
    if known is None:
        return True
    is_same = known.same_on_disk(now)
    if would_fail_again(known) and is_same:
        return False
    is_held = known.state is FileState.IN_MEMORY and is_same
    if urgency is Urgency.CHANGED:  # the watcher and the client may both tell of it
        return not (is_held and known.has_rested)
    return urgency is Urgency.OPEN or not is_held


def may_be_refused(file: TrackedFile, urgency: Urgency) -> bool:
    """Whether a file is left out rather than others if there is no room for it."""
    return urgency is Urgency.REST and not file.n_tokens
