"""Paths of a repository, looked up by their ends and folders; distances between them."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile


class Paths:
    """A changing set of paths with indexes by end and by folder."""

    def __init__(self) -> None:
        self._all: set[str] = set()
        self._ends: defaultdict[str, list[str]] = defaultdict(list)
        self._folders: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, path: str) -> None:
        """Add a path, unless it is there."""
        if path in self._all:
            return
        self._all.add(path)
        for table, key in self._entries(path):
            insort(table[key], path)

    def remove(self, path: str) -> None:
        """Remove a path, if it is there."""
        if path in self._all:
            self._all.discard(path)
            for table, key in self._entries(path):
                table[key].remove(path)
                if not table[key]:
                    del table[key]

    def ending(self, tail: str) -> Sequence[str]:
        """Return the paths that are ``tail``, or end with ``/`` and ``tail``, sorted."""
        key = "/".join(tail.rsplit("/", 2)[-2:])
        found = self._ends.get(key, ())
        if key == tail:
            return tuple(found)
        return tuple(path for path in found if path == tail or path.endswith("/" + tail))

    def within(self, folder: str) -> Sequence[str]:
        """Return the paths directly in a folder, sorted."""
        return tuple(self._folders.get(folder, ()))

    def _entries(self, path: str) -> Iterator[tuple[defaultdict[str, list[str]], str]]:
        """Yield the tables that list a path, and the key under which each of them does."""
        folder, _, name = path.rpartition("/")
        yield self._folders, folder
        yield from ((self._ends, end) for end in {name, "/".join(path.rsplit("/", 2)[-2:])})


def path_distance(one: str, other: str) -> int:
    """Return the steps up and down from the folder of one file to the folder of another."""
    return folder_distance(one.split("/")[:-1], other.split("/")[:-1])


def folder_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the steps up and down from one folder to another, both given by their parts."""
    return len(one) + len(other) - 2 * n_shared_folders(one, other)


def n_shared_folders(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many parts two folders share, from the root on."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
