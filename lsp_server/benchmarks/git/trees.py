"""Files of commits, as they are stored, and written to folders.

Neither attributes nor filters count, as they do for a checkout and for ``git archive``.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsp_server.benchmarks.git.running import GitError, output, stream
from lsp_server.benchmarks.paths import (
    inside,
    path_inside,
    remove_outward_links,
    write_inside,
)

MAX_FILES = 100_000
"""Most files of a tree."""
MAX_TREE_BYTES = 1 << 32
REGULAR_FILES = frozenset({"100644", "100755"})
_LINK = "120000"
_MAX_LINK_BYTES = 4096


@dataclass(frozen=True)
class TreeFile:
    """Regular file or symlink of a commit."""

    path: str
    blob: str
    size: int | None
    """Bytes; None if the repository does not have the content."""
    is_link: bool


def tree_files(repository: Path, commit: str) -> list[TreeFile]:
    """Return a commit's regular files and symlinks, but for those whose path is not safe.

    Raises:
        GitError: the repository does not have the commit.
        ValueError: there are too many files.
    """
    listed = output(
        repository, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, limit=MAX_FILES * 300
    )
    lines = listed.split(b"\0")[:-1]
    if len(lines) > MAX_FILES:
        raise ValueError(f"{commit} has more than {MAX_FILES:,} files. Leave this repository out.")
    found: list[TreeFile] = []
    for line in lines:
        status, _, path = line.partition(b"\t")
        mode, _, blob, size = status.decode().split()
        name = safe_path(path)
        if name and mode in REGULAR_FILES | {_LINK}:
            n_bytes = int(size) if size.isdecimal() else None  # git writes BAD
            found.append(TreeFile(name, blob, n_bytes, mode == _LINK))
    return found


def read_files(repository: Path, commit: str, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield paths and contents of a commit's regular files. Larger and missing ones are left out.

    Raises:
        GitError: the repository does not have the commit, or is broken.
        ValueError: there are too many files, or they are too large together.
    """
    wanted = [each for each in tree_files(repository, commit) if not each.is_link]
    for file, content in _contents(repository, wanted, max_bytes):
        yield file.path, content


def write_tree(repository: Path, commit: str, folder: Path, max_bytes: int) -> list[str]:
    """Write the files of a commit below a folder; return the paths of those that are missing.

    Left out are symlinks that lead out of the folder, and larger files.

    Raises:
        GitError: the repository does not have the commit, or is broken.
        ValueError: there are too many files, or they are too large together.
    """
    listed = tree_files(repository, commit)
    folder.mkdir(parents=True, exist_ok=True)
    # Links come last, so that nothing is written through them.
    ordered = sorted(listed, key=lambda each: each.is_link)
    for file, content in _contents(repository, ordered, max_bytes):
        try:
            if file.is_link:
                _link(folder, file.path, content)
            else:
                write_inside(folder, file.path, content)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue  # The tree is broken, and has a file and a folder of one name.
    remove_outward_links(folder)
    return [each.path for each in listed if each.size is None]


def safe_path(path: bytes) -> str | None:
    """Return a path of a tree as text; None if it cannot be written below a folder."""
    try:
        text = path.decode()
        is_plain = text.isprintable() and not any(sign in text for sign in '\\:*?"<>|')
        return text if is_plain and path_inside(text) == text else None
    except ValueError:
        return None


def _link(folder: Path, path: str, target: bytes) -> None:
    link = inside(folder, path)
    link.parent.mkdir(parents=True, exist_ok=True)
    if not target.startswith(b"/") and b"\0" not in target:
        link.symlink_to(os.fsdecode(target))


def _contents(
    repository: Path, listed: Sequence[TreeFile], max_bytes: int
) -> Iterator[tuple[TreeFile, bytes]]:
    sizes = ((each, _MAX_LINK_BYTES if each.is_link else max_bytes) for each in listed)
    wanted = [each for each, limit in sizes if each.size is not None and each.size <= limit]
    if sum(each.size or 0 for each in wanted) > MAX_TREE_BYTES:
        raise ValueError(f"the files are larger than {MAX_TREE_BYTES >> 30} GiB")
    names = "".join(f"{each.blob}\n" for each in wanted)
    with stream(repository, "cat-file", "--batch", given=names.encode()) as written:
        for file in wanted:
            _, _, size = written.readline().partition(b" blob ")
            content = written.read(file.size or 0) if size == b"%d\n" % (file.size or 0) else b""
            if len(content) != file.size or written.read(1) != b"\n":
                raise GitError(f"git cannot read {file.path!r}")
            yield file, content
