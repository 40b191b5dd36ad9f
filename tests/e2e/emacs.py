"""A real Emacs in a terminal, at the end of a file for which a server has a suggestion."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ESCAPE, TerminalScreen, running

END_OF_FILE, SAVE = f"{ESCAPE}>", "\x18\x13"
FIRST_LINE = "def f(x):\n"


def emacs() -> str:
    """Emacs; skips where it is missing."""
    found = shutil.which("emacs")
    if found is None:
        pytest.skip("no Emacs; on Debian: apt-get install emacs-nox")
    return found


def suggesting(folder: Path, text: str) -> RecordedServer:
    """A server that suggests a text behind the indentation of the second line."""
    return RecordedServer(folder, FIRST_LINE, [{"before": "\n    ", "text": text}])


@contextmanager
def at_end(server: RecordedServer, start: list[str], init: str) -> Iterator[TerminalScreen]:
    """Emacs with an init file, at the end of the server's file, once the server is ready."""
    path = server.root.parent / "init.el"
    path.write_text(init)
    command = [*start, "-nw", "--load", str(path), str(server.file)]
    with running(command, server.root, server.environment) as screen:
        screen.expect(FIRST_LINE.rstrip())
        screen.type(END_OF_FILE)
        screen.wait(server.is_ready, "the server is not ready")
        yield screen


def save(server: RecordedServer, screen: TerminalScreen) -> None:
    """Save the file that a suggestion was accepted into."""
    screen.type(SAVE)
    screen.wait(lambda: "return" in server.saved, "the file was not saved")


def check_saved(server: RecordedServer, text: str) -> None:
    """The suggestion is in the file, and the session is as it was recorded."""
    assert server.saved == f"{FIRST_LINE}    {text}\n"
    assert server.replay() == []
