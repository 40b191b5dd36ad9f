"""``longllama-lsp record``: stands between an editor and the server, and writes down both.

Every message goes through as it came. The editor's process id is left out of the file, as a server
that replays it would look for that process.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from lsp_server.clients.recording import (
    Json,
    Line,
    Sender,
    as_text,
    framed,
    frames,
    root_of,
    without_root,
)
from lsp_server.engine.stdio import take_stdout


class Recorder:
    """Owner of the file; both directions write to it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._root: str | None = None

    def note(self, sender: Sender, body: bytes) -> None:
        """Write a message down; what is no JSON object is passed over."""
        try:
            message: Json = json.loads(body)
        except ValueError:
            return
        with self._lock:
            if message.get("method") == "initialize":
                self._root = root_of(message)
                message["params"]["processId"] = None
            if self._root:
                message = without_root(message, self._root)
            self._file.write(as_text(Line(sender, message)))
            self._file.flush()

    def close(self) -> None:
        """End the file."""
        with self._lock:
            self._file.close()


def record(path: Path, command: list[str]) -> int:
    """Serve the editor on stdin and stdout by a server of its own; that one's exit code."""
    recorder, stdout = Recorder(path), take_stdout()
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    stdin = server.stdin

    def from_editor() -> None:
        _pass_on(sys.stdin.buffer, stdin, recorder, "editor")
        stdin.close()  # its end is how the server learns that the editor has gone

    threading.Thread(target=from_editor, daemon=True).start()
    _pass_on(server.stdout, stdout, recorder, "server")
    returncode = server.wait()
    recorder.close()
    return returncode


def _pass_on(source: IO[bytes], target: IO[bytes], recorder: Recorder, sender: Sender) -> None:
    for body in frames(source):
        recorder.note(sender, body)
        try:
            target.write(framed(body))
            target.flush()
        except OSError:  # who should read it is gone
            return
