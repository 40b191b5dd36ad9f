"""What copilot.lua and copilot.el said to the server, said again: neither has to be at hand.

The sessions were recorded by `longllama-lsp record`, in the tests of these plug-ins.
"""

import json
from pathlib import Path

import pytest

from lsp_server.clients.replay import replay

SESSIONS = Path(__file__).parents[1] / "data" / "sessions"
ANSWERS = {
    "copilot_lua": [{"before": "\n    ", "text": "return one", "alternatives": ["return two"]}],
    "copilot_el": [{"before": "é", "text": "' + more(x)\n    return s"}],
}
ASKS_BY = {
    "copilot_lua": ("getCompletions", "getCompletionsCycling"),
    "copilot_el": ("textDocument/inlineCompletion",),
}
TIMEOUT_S = 300


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The workspace of the sessions."""
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "a.py").write_text("def f(x):\n")
    return folder


def arguments(folder: Path, answers: list[dict[str, object]]) -> list[str]:
    """Options of a server that gives these answers."""
    script = folder / "answers.json"
    script.write_text(json.dumps({"answers": answers}))
    return ["--model", f"script:{script}", "--cache-dir", str(folder / "cache")]


@pytest.mark.parametrize("client", ANSWERS)
def test_it_is_answered_as_it_was(client: str, root: Path) -> None:
    given = arguments(root.parent, ANSWERS[client])
    assert replay(SESSIONS / f"{client}.jsonl", root, given, TIMEOUT_S) == []


@pytest.mark.parametrize("client", ANSWERS)
def test_another_answer_would_be_seen(client: str, root: Path) -> None:
    differences = replay(SESSIONS / f"{client}.jsonl", root, arguments(root.parent, []), TIMEOUT_S)
    assert {one.method for one in differences} <= {*ASKS_BY[client]}
    assert differences
