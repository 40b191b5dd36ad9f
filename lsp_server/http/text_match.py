"""Whether a file holds the text around a cursor, and what the file has beyond it.

A client sends some lines of a file that its user edits, so a part of them may not be on disk. What
is compared is therefore runs of whole lines, from near the cursor and from both ends of the text.
Everything takes time linear in the lengths of the texts.
"""

from collections.abc import Sequence

RUN_LINES = 4
"""Lines of a run."""
EDGE_LINES = 8
"""Lines of a run by which the beginning or the end of the text is found in a file."""
LEAST_CHARS = 24
"""Characters but blanks that a run must have: fewer are in many files."""
NEAR_LINES = (0, 8, 24)
"""Lines between the cursor and the runs above it."""
FAR_CHARS = 40_000
"""Length of the texts on both sides of the cursor in which runs near it are looked for."""


def unix_lines(text: str) -> str:
    """Return a text whose lines end as in requests, which editors join by line feeds."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def runs_around(before: str, after: str) -> tuple[str, ...]:
    """Return runs of whole lines from both sides of a cursor, without repeats.

    Args:
        before: text before the cursor.
        after: text after the cursor.
    """
    above = before[-FAR_CHARS:].split("\n")[:-1]
    below = after[:FAR_CHARS].split("\n")[1:-1]
    runs = [_run(above[: len(above) - skipped], -RUN_LINES) for skipped in NEAR_LINES]
    runs += [_run(below, RUN_LINES), first_run(before, RUN_LINES), last_run(after, RUN_LINES)]
    return tuple(dict.fromkeys(filter(_tells, runs)))


def first_run(before: str, n_lines: int = EDGE_LINES) -> str:
    """Return the first whole lines of the text before a cursor."""
    return _run(before.split("\n", n_lines)[:-1], n_lines)


def last_run(after: str, n_lines: int = EDGE_LINES) -> str:
    """Return the last whole lines of the text after a cursor."""
    return _run(after.rsplit("\n", n_lines + 1)[1:-1], -n_lines)


def n_found(runs: Sequence[str], text: str) -> int:
    """Return how many of the runs a text holds."""
    return sum(run in text for run in runs)


def extended(before: str, after: str, text: str) -> tuple[str, str]:
    """Return both sides of a cursor with what the file has above and below them.

    Where an end of theirs is not found in the file exactly once, nothing is added to it.

    Args:
        before: text before the cursor.
        after: text after the cursor.
        text: text of the file.
    """
    start = _only_place(first_run(before), text)
    if start is None:
        return before, after
    run = last_run(after)
    end = _only_place(run, text)
    if end is not None and end > start:
        after = after[: after.rindex(run)] + text[end:]
    return text[:start] + before, after


def _run(lines: Sequence[str], n_lines: int) -> str:
    return "\n".join(lines[:n_lines] if n_lines > 0 else lines[n_lines:])


def _tells(run: str) -> bool:
    return sum(map(len, run.split())) >= LEAST_CHARS


def _only_place(run: str, text: str) -> int | None:
    """Return where whole lines are in a text; None if they are not there once, or say little."""
    if not _tells(run):
        return None
    padded, wanted = f"\n{text}\n", f"\n{run}\n"
    at = padded.find(wanted)
    return at if at >= 0 and padded.find(wanted, at + 1) < 0 else None
