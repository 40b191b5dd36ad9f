"""A program in a terminal, as a person sees and types to it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.deadline import DEADLINE_S
from tests.e2e.terminal_picture import draw
from tests.paths import ROOT

COLUMNS, LINES = 100, 24
QUIET_S = 0.05
ENTER, ESCAPE, TAB = "\r", "\x1b", "\t"
ALT_RIGHT, ALT_DOWN = "\x1b[1;3C", "\x1b[1;3B"
LEFT, RIGHT = "\x1b[D", "\x1b[C"
CONTROL_A, CONTROL_E = "\x01", "\x05"
DEVICE_CONTROL_BEGINS = b"\x1bP"
DEVICE_CONTROL = re.compile(rb"\x1bP.*?\x1b\\", re.DOTALL)
"""Strings that pyte would draw; nothing of what they say is on screen."""
PICTURES = ROOT / "build" / "editors"
"""Where pictures of screens are kept, of which some are in docs/pictures."""


class _Screen(pyte.Screen):
    """A terminal's screen that answers the program's questions to it."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        super().__init__(COLUMNS, LINES)
        self.write_process_input = answer

    def report_device_status(self, mode: int = 0, private: bool = False) -> None:
        """Pyte knows no private questions, such as for colours; they stay without an answer."""
        if not private:
            super().report_device_status(mode)


class TerminalScreen:
    """What a program has drawn, and keys for it."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._screen = _Screen(self.type)
        self._stream = pyte.ByteStream(self._screen)
        self._held = b""

    def type(self, keys: str) -> None:
        """Press keys, as the bytes that a terminal sends for them."""
        os.write(self._terminal, keys.encode())

    @property
    def text(self) -> str:
        """All lines that are on screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Follow the program until something is so.

        Raises:
            AssertionError: it was not so within `DEADLINE_S` seconds; the message has the screen.
        """
        deadline = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < deadline, f"{what}; on screen:\n{self.text}"
            self._read()

    def expect(self, text: str) -> None:
        """Wait until a text is on screen, as `wait` does."""
        self.wait(lambda: text in self.text, f"{text!r} is not shown")

    def picture(self, name: str) -> None:
        """Keep what is on screen."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.svg").write_text(draw(self._screen), "utf-8")

    def _read(self) -> None:
        ready, _, _ = select.select([self._terminal], [], [], QUIET_S)
        if not ready:
            return
        try:
            drawn = DEVICE_CONTROL.sub(b"", self._held + os.read(self._terminal, 1 << 16))
        except OSError:  # the program has ended
            time.sleep(QUIET_S)
            return
        whole, begun, rest = drawn.partition(DEVICE_CONTROL_BEGINS)
        self._held = begun + rest
        self._stream.feed(whole)


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[TerminalScreen]:
    """Run a program in a terminal of its own; whatever the block leaves of it is ended."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],  # Emacs opens the terminal by the name /dev/tty
        cwd=folder,
        env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    try:
        yield TerminalScreen(ours)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        os.close(ours)
