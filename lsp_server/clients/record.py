"""Recording what an editor and the server send each other (``longllama-lsp record``).

Messages are passed on unchanged. The editor's process id is not recorded: a server in a replay
would end if that process does not exist.
"""

import json
import os
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
    """Writes the messages of both directions to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()
        self._root: str | None = None

    def add(self, sender: Sender, body: bytes) -> None:
        """Record a message, unless it is not JSON."""
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
        """Close the file."""
        with self._lock:
            self._file.close()


def record(path: Path, command: list[str]) -> int:
    """Serve the editor on stdin and stdout, and return the server's exit code."""
    recorder, stdout = Recorder(path), take_stdout()
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    stdin = server.stdin
    # At the end of the process, closing sys.stdin's own buffer would wait for who reads it.
    source = os.fdopen(os.dup(sys.stdin.fileno()), "rb")

    def from_editor() -> None:
        _forward(source, stdin, recorder, "editor")
        stdin.close()  # tells the server that the editor has disconnected

    threading.Thread(target=from_editor, daemon=True).start()
    _forward(server.stdout, stdout, recorder, "server")
    returncode = server.wait()
    recorder.close()
    return returncode


def _forward(source: IO[bytes], target: IO[bytes], recorder: Recorder, sender: Sender) -> None:
    for body in frames(source):
        recorder.add(sender, body)
        try:
            target.write(framed(body))
            target.flush()
        except OSError:  # the receiver has ended
            return
