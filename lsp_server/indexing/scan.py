"""A look at the disk: what is there of the files that may have changed. Runs on a thread."""

import logging
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from longllama_code.source_files.workspace import Entry, Workspace

logger = logging.getLogger(__name__)


def look(
    workspace: Workspace, paths: Iterable[Path], rules_names: Collection[str], *, is_whole: bool
) -> tuple[dict[Path, Entry], bool]:
    """What is there now, and whether that is all there is.

    Args:
        workspace: the folders.
        paths: of files and folders that may have changed.
        rules_names: of files with ignore rules.
        is_whole: whether every file is to be looked at.
    """
    # A folder, or a file of ignore rules, may change what is to be said of any file.
    # `Path.is_dir` raises errors before Python 3.14.
    if is_whole := is_whole or any(
        path.name in rules_names or os.path.isdir(path)  # noqa: PTH112
        for path in paths
    ):
        found = {entry.path: entry for entry in workspace.scan()}
    else:
        found = {}
    for path in paths:
        if path not in found and (entry := _entry(workspace, path)) is not None:
            found[path] = entry
    return found, is_whole


def _entry(workspace: Workspace, path: Path) -> Entry | None:
    try:
        return workspace.entry(path)
    except Exception:  # whatever is odd about one path, the others must be looked at
        logger.exception("%r could not be looked at", str(path))
        return None
