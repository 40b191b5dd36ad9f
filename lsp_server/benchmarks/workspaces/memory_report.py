"""Comparison of what a server says that is in memory with the files that may be there."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.paths import leads_inside


def unexpected_in_memory(
    memory: Mapping[str, Any], status: Mapping[str, Any], workspace: Path, opened: str | None
) -> list[str]:
    """Return, in words, what is in memory besides the workspace's files and the document.

    The server's list of files is compared with the disk, and the engine's counts, which are taken
    from its memory, with the list. Two versions of a file are two numbers of tokens more.

    Args:
        memory: answer to ``longllama/memory``.
        status: answer to ``longllama/status``, with the server up to date.
        workspace: the workspace, searched before.
        opened: path of the open document in the workspace; None if none is open.
    """
    listed = [each for each in memory["files"] if each["state"] == "in_memory"]
    return [*_not_there(listed, workspace, opened), *_not_listed(listed, status["engine"] or {})]


def _not_there(
    listed: list[Mapping[str, Any]], workspace: Path, opened: str | None
) -> Iterator[str]:
    for each in listed:
        path = workspace / each["path"]
        if each["path"] != opened and not (path.is_file() and leads_inside(workspace, path)):
            yield f"{each['path']!r} is in memory and not in the workspace"


def _not_listed(listed: list[Mapping[str, Any]], engine: Mapping[str, Any]) -> Iterator[str]:
    counts = {"n_files": len(listed), "n_tokens": sum(each["tokens"] for each in listed)}
    for name, expected in counts.items():
        if engine.get(name) != expected:
            what = name.removeprefix("n_")
            yield f"the engine has {engine.get(name)} {what} in memory, the server lists {expected}"
