"""What clients of Copilot's server tell about suggestions, and what is counted of it."""

import pytest
import pytest_asyncio

from tests.server.handlers.test_copilot import INTRODUCTION, SETTINGS, doc, three
from tests.server.wire import StandInClient

LINE = "é\U0001f40d = "
END = {"line": 0, "character": 6}
"""In UTF-16 units."""


@pytest_asyncio.fixture
async def copilot(wire, root, tmp_path, monkeypatch):
    """A client of Copilot's, of which nothing was counted before."""
    monkeypatch.setattr(StandInClient, "complete", three)
    kept = {"memory": {"cacheDir": str(tmp_path / "cache")}, "statistics": {"enable": True}}
    await wire.begin(root, options={**INTRODUCTION, "longllama": {**SETTINGS, **kept}})
    await wire.indexed()
    return wire


async def counted(wire):
    """What was counted in all, of more than nothing."""
    total = (await wire.ask("longllama/statistics"))["total"]
    return {name: n for name, n in total.items() if isinstance(n, int) and n and name != "chars"}


async def items(wire, root):
    uri = wire.open((root / "new.py").as_uri(), LINE)
    return (await wire.inline(uri, 0, END["character"]))["items"]


async def test_what_is_shown_and_put_away_is_counted_once(copilot, root):
    asked = doc(copilot, root, LINE, **END)
    (found,) = (await copilot.ask("getCompletions", **asked))["completions"]
    for _ in range(2):
        assert await copilot.ask("notifyShown", uuid=found["uuid"]) == "OK"
    assert await copilot.ask("notifyRejected", uuids=[found["uuid"], "s0", 7]) == "OK"
    assert await counted(copilot) == {"shown": 1, "left": 1}


async def test_an_alternative_is_accepted(copilot, root):
    asked = doc(copilot, root, LINE, **END)
    found = (await copilot.ask("getCompletionsCycling", **asked))["completions"]
    await copilot.ask("notifyShown", uuid=found[2]["uuid"])
    await copilot.ask("notifyAccepted", uuid=found[2]["uuid"])
    assert await counted(copilot) == {
        "shown": 1,
        "accepted": 1,
        "accepted_chars": len("three()"),
    }


async def test_a_told_length_says_nothing_and_the_document_does(copilot, root):
    """copilot.lua tells the length of the whole, also for a word of it."""
    asked = doc(copilot, root, LINE, **END)
    (found,) = (await copilot.ask("getCompletions", **asked))["completions"]
    await copilot.ask("notifyAccepted", uuid=found["uuid"], acceptedLength=12)
    assert await counted(copilot) == {"shown": 1, "open": 1}
    change = {"range": {"start": END, "end": END}, "text": "text()"}
    uri = asked["doc"]["uri"]
    document = {"uri": uri, "version": 2}
    copilot.notify("textDocument/didChange", textDocument=document, contentChanges=[change])
    assert await counted(copilot) == {"shown": 1, "accepted": 1, "accepted_chars": 6}


async def test_the_beginning_of_an_item_is_accepted_and_then_all(copilot, root):
    first, *_ = await items(copilot, root)
    item = {"command": first["command"]}
    copilot.notify("textDocument/didShowCompletion", item=item)
    length = END["character"] + 2
    copilot.notify("textDocument/didPartiallyAcceptCompletion", item=item, acceptedLength=length)
    assert await counted(copilot) == {"shown": 1, "partly_accepted": 1, "accepted_chars": 2}
    command = first["command"]
    await copilot.ask("workspace/executeCommand", **command)
    assert await counted(copilot) == {"shown": 1, "accepted": 1, "accepted_chars": 6}


async def test_nothing_is_shown_before_the_client_says_so(copilot, root):
    first, *_ = await items(copilot, root)
    copilot.notify("textDocument/didShowCompletion", item={"command": first["command"]})
    asked = {"uri": (root / "new.py").as_uri(), "position": END}
    await copilot.ask("getCompletions", doc=asked)
    assert await counted(copilot) == {"shown": 1, "open": 1}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"uuid": 3, "uuids": "s1", "item": []},
        {"uuid": "s1.99999999999", "uuids": ["s1.-1", "s1.x", None]},
        {"item": {"command": {"command": "other", "arguments": ["s1"]}}, "acceptedLength": 3},
        {"item": {"command": {"command": "longllama.didAccept", "arguments": ["s1"]}}},
        {"item": {"command": {"command": "longllama.didAccept", "arguments": ["s1", 0, 9]}},
         "acceptedLength": -(2**60)},
    ],
)  # fmt: skip
async def test_what_is_malformed_counts_nothing(copilot, params):
    for method in ("notifyShown", "notifyAccepted", "notifyRejected"):
        assert await copilot.ask(method, **params) == "OK"
    for method in ("didShowCompletion", "didPartiallyAcceptCompletion"):
        copilot.notify(f"textDocument/{method}", **params)
    assert await counted(copilot) == {}
