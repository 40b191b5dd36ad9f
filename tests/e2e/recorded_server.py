"""The server as an editor starts it, ``longllama-lsp`` on the PATH, with a scripted model.

What it and the editor say is recorded: a test can wait for what the server said, and say the same
to another server.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_server.clients.replay import replay
from lsp_server.methods import DID_MOVE_CURSOR as MOVED
from tests.deadline import DEADLINE_S
from tests.e2e.counting_person import kept
from tests.e2e.editor import is_running
from tests.e2e.terminal_screen import TerminalScreen

ACCEPTED = ("accepted", "partly_accepted", "typed_out")


class RecordedServer:
    """A workspace with one file, a home, and a program ``longllama-lsp``, all in one folder."""

    def __init__(self, folder: Path, text: str, answers: Sequence[dict[str, Any]]) -> None:
        self._text = text
        self._session = folder / "session.jsonl"
        script = folder / "script.json"
        script.write_text(json.dumps({"answers": list(answers)}))
        self.model = f"script:{script}"
        """What the editor's settings name as the model."""
        self.root = folder / "ws"
        (self.root / ".git").mkdir(parents=True)
        self.file = self.root / "a.py"
        self.file.write_text(text)
        server = folder / "bin" / "longllama-lsp"
        server.parent.mkdir()
        record = f'"{sys.executable}" -m lsp_server record "{self._session}"'
        self._started = folder / "started"
        """Ids of the processes of the recorder, one a line."""
        server.write_text(f'#!/bin/sh\necho $$ >> "{self._started}"; exec {record} "$@"\n')
        server.chmod(0o755)
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "LONGLLAMA_CACHE": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": f"{server.parent}{os.pathsep}{os.environ['PATH']}",
        }

    def is_ready(self) -> bool:
        """Whether the server has said that all is in memory."""
        return any('"phase":"ready"' in line.replace(" ", "") for line in self._lines())

    def told(self, method: str) -> list[Any]:
        """The parameters of all that the editor has said in a method, before it ended."""
        self._wait_for_recorder()
        lines = [json.loads(line) for line in self._lines()]
        said = [line["message"] for line in lines if line["from"] == "editor"]
        return [message["params"] for message in said if message.get("method") == method]

    def was_told_of_cursor(self, line: int, character: int) -> bool:
        """Whether the editor has said that the cursor rests there."""
        told = [text for text in self._lines() if MOVED in text]
        places = [json.loads(text)["message"]["params"]["position"] for text in told]
        return {"line": line, "character": character} in places

    def _lines(self) -> list[str]:
        """The messages so far; a line that is being written is none yet."""
        if not self._session.is_file():
            return []
        whole, _, _ = self._session.read_bytes().rpartition(b"\n")
        return whole.decode().split("\n") if whole else []

    def _wait_for_recorder(self) -> None:
        """Wait until all that was said is recorded: the recorder ends after its editor."""
        ends = time.monotonic() + DEADLINE_S
        for pid in map(int, self._started.read_text().split()):
            while is_running(pid):
                assert time.monotonic() < ends, "the recorder outlived its editor"
                time.sleep(0.05)

    def expect_outcome(self, screen: TerminalScreen, outcome: str) -> None:
        """Wait until the server has counted one suggestion as this, and none as the others."""
        cache = Path(self.environment["LONGLLAMA_CACHE"])
        wanted = [int(name == outcome) for name in ACCEPTED]
        screen.wait(
            lambda: [kept(cache)[name] for name in ACCEPTED] == wanted,
            f"no suggestion was counted as {outcome}",
        )

    @property
    def saved(self) -> str:
        """Text of the file; empty while an editor puts another one in its place."""
        try:
            return self.file.read_text()
        except FileNotFoundError:
            return ""

    def replay(self) -> list[str]:
        """Say all again to another server, once the editor has ended; how its answers differ."""
        self._wait_for_recorder()
        self.file.write_text(self._text)
        return replay(self._session, self.root, [], DEADLINE_S)
