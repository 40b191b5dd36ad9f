"""Scan of the disk for files that may have changed. Runs on a thread."""

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from longllama_code.source_files.workspace import Entry, Workspace
from lsp_server.indexing.file_table import Urgency

logger = logging.getLogger(__name__)


def all_changed(workspace: Workspace, paths: Mapping[Path, Urgency]) -> dict[Path, Urgency]:
    """Return the paths, as a scan has them, of files and folders that may have changed.

    Args:
        workspace: the folders.
        paths: the changed paths, as the watcher and the client have them, and their urgency.
    """
    changed: dict[Path, Urgency] = {}
    for path, urgency in paths.items():
        located = _located(workspace, path)
        changed[located] = min(urgency, changed.get(located, urgency))
    twins = dict.fromkeys(workspace.twins(changed), min(changed.values(), default=Urgency.REST))
    return {**changed, **twins}


def scan(
    workspace: Workspace,
    paths: Collection[Path],
    ignore_file_names: Collection[str],
    *,
    is_full: bool,
) -> tuple[dict[Path, Entry], bool]:
    """Find the current entries of paths, or of the whole workspace.

    Args:
        workspace: the folders.
        paths: files and folders that may have changed; see `all_changed`.
        ignore_file_names: names of files with ignore rules.
        is_full: whether to scan the whole workspace.

    Returns:
        Entries by path, and whether they are those of the whole workspace.
    """
    is_full = is_full or _affects_others(paths, ignore_file_names)
    found = {entry.path: entry for entry in workspace.scan()} if is_full else {}
    for path in paths:
        if path not in found and (entry := _entry(workspace, path)) is not None:
            found[path] = entry
    return found, is_full


def _affects_others(paths: Iterable[Path], ignore_file_names: Collection[str]) -> bool:
    """Whether a folder or a file of ignore rules is among the paths, which concern any file."""
    return any(
        # `Path.is_dir` raises errors before Python 3.14.
        path.name in ignore_file_names or os.path.isdir(path)  # noqa: PTH112
        for path in paths
    )


def _located(workspace: Workspace, path: Path) -> Path:
    try:
        return workspace.locate(path)
    except Exception:  # as for `_entry`
        logger.exception("%r could not be located", str(path))
        return path


def _entry(workspace: Workspace, path: Path) -> Entry | None:
    try:
        return workspace.entry(path)
    except Exception:  # one path that cannot be read must not stop the others
        logger.exception("%r could not be scanned", str(path))
        return None
