"""The server as an editor starts it, ``longllama-lsp`` on the PATH, with a scripted model.

What it and the editor say is recorded: a test can wait for what the server said, and say the same
to another server.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_server.clients.replay import replay
from lsp_server.methods import DID_MOVE_CURSOR as MOVED
from tests.e2e.counting_person import kept
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
        server.write_text(f'#!/bin/sh\nexec {record} "$@"\n')
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
        if not self._session.is_file():
            return False
        return '"phase":"ready"' in self._session.read_text("utf-8").replace(" ", "")

    def told(self, method: str) -> list[Any]:
        """The parameters of all that the editor has said in a method."""
        lines = [json.loads(line) for line in self._session.read_text("utf-8").splitlines()]
        said = [line["message"] for line in lines if line["from"] == "editor"]
        return [message["params"] for message in said if message.get("method") == method]

    def was_told_of_cursor(self, line: int, character: int) -> bool:
        """Whether the editor has said that the cursor rests there."""
        told = [text for text in self._session.read_text("utf-8").splitlines() if MOVED in text]
        places = [json.loads(text)["message"]["params"]["position"] for text in told]
        return {"line": line, "character": character} in places

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
        """Say all again to another server; how its answers differ."""
        self.file.write_text(self._text)
        return replay(self._session, self.root, [])
