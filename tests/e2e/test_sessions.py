"""Recorded sessions: what an editor said, said again to another server in another folder."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lsp_server.clients.headless import headless
from lsp_server.clients.recording import read_session
from lsp_server.clients.replay import replay
from lsp_server.documents.document import Position
from tests.deadline import DEADLINE_S
from tests.e2e.editor import scripted

TEXT = "from lib import frobnicate\n\nfrob"
ANSWERS = [{"before": "frob", "text": "nicate(1, 2)", "source": "lib.py"}]


def workspace(folder: Path) -> Path:
    """A workspace whose path has to be quoted in a URI."""
    root = folder / "a workspace é"
    root.mkdir(parents=True)
    (root / "lib.py").write_text("def frobnicate(left, right):\n    return left\n")
    return root


@pytest.fixture
async def session(tmp_path: Path) -> Path:
    """The session of an editor that asks for one suggestion."""
    root, path = workspace(tmp_path / "there"), tmp_path / "session.jsonl"
    settings = scripted(tmp_path, answers=ANSWERS)
    command = [sys.executable, "-m", "lsp_server", "record", str(path)]
    async with headless(root, settings, command=command) as client:
        await asyncio.wait_for(client.wait_until_indexed(), DEADLINE_S)
        uri = client.open(root / "app.py", TEXT)
        assert await client.complete(uri, Position(2, 4)) == "nicate(1, 2)"
        await client.explain()
    return path


async def test_a_session_is_replayed_elsewhere(session: Path, tmp_path: Path) -> None:
    lines = read_session(session)
    text = session.read_text()
    assert str(tmp_path / "there") not in text
    assert "a%20workspace" not in text
    assert '"file://${root}/app.py"' in text
    assert lines[0].message["method"] == "initialize"
    assert lines[0].message["params"]["processId"] is None
    assert (lines[0].sender, lines[1].sender) == ("editor", "server")

    here = workspace(tmp_path / "here")
    assert await asyncio.to_thread(replay, session, here) == []
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"answers": [{"text": "nicated"}]}))
    arguments = ["--model", f"script:{other}"]
    differences = await asyncio.to_thread(replay, session, here, arguments)
    assert [difference.method for difference in differences] == [
        "textDocument/inlineCompletion",
        "longllama/explain",
    ]
    assert differences[0].recorded["items"][0]["insertText"] == "nicate(1, 2)"
    assert differences[0].replayed["items"][0]["insertText"] == "nicated"

    command = [sys.executable, "-m", "lsp_server", "replay", str(session), "--root", str(here)]
    done = await asyncio.to_thread(
        subprocess.run, [*command, *arguments], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "textDocument/inlineCompletion\n  recorded: " in done.stdout


def test_a_file_that_is_no_session(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text('{"from": "editor", "message": {}}\n[]\n')
    with pytest.raises(ValueError, match=r"session.jsonl:2 is no message of a recorded session"):
        replay(path, tmp_path)
