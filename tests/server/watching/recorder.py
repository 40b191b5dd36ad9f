"""Shared by the tests of the watcher: a folder to watch, and a recorder of batches."""

import queue
from pathlib import Path
from time import monotonic

import pytest

from tests.deadline import DEADLINE_S


class Recorder:
    """Keeps the batches and waits for paths to show up in them."""

    def __init__(self) -> None:
        self.batches: queue.SimpleQueue[frozenset[Path]] = queue.SimpleQueue()
        self.seen: set[Path] = set()

    def __call__(self, batch: frozenset[Path]) -> None:
        self.batches.put(batch)

    def wait_for(self, *paths: Path) -> set[Path]:
        """Wait until all of `paths` were reported; return all paths reported so far."""
        end_s = monotonic() + DEADLINE_S
        while not self.seen.issuperset(paths):
            try:
                self.seen |= self.batches.get(timeout=max(0.0, end_s - monotonic()))
            except queue.Empty:
                pytest.fail(f"not reported: {set(paths) - self.seen}; reported: {self.seen}")
        return self.seen


def make_tree(tmp_path: Path) -> Path:
    """A folder to watch, with a file and a folder with a file."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("a")
    (folder / "sub" / "b.py").write_text("b")
    return folder
