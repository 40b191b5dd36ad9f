"""Traces and logs: they tell how requests end and where handlers fail, and no source code."""

import pytest

from tests.server.logged import logged
from tests.server.wire import RpcError


async def test_traces_tell_how_requests_end_and_no_text(wire, root):
    await wire.begin(root, trace="messages")
    await wire.indexed()
    uri = wire.open("untitled:a", "SECRETWORD = ")
    await wire.inline(uri, 0, 13)
    wire.notify("$/setTrace", value="verbose")
    await wire.inline(uri, 0, 13)
    wire.notify("$/setTrace", value="off")
    await wire.inline(uri, 0, 13)
    first, second = wire.said("$/logTrace")
    assert first["message"].endswith(": 6 characters")
    assert "verbose" not in first
    assert "'generated_tokens': 4" in second["verbose"]
    assert "SECRETWORD" not in str((first, second))


async def test_broken_messages_put_no_source_code_into_the_log(wire, root, caplog):
    await wire.begin(root)
    mark = "def very_private_function(): pass"
    broken = {"uri": "untitled:a", "languageId": "python", "version": "no number", "text": mark}
    for params in ({"textDocument": broken}, {"textDocument": {"text": mark}}, {"text": mark}):
        wire.notify("textDocument/didOpen", **params)
    wire.notify(
        "textDocument/didChange",
        textDocument={"uri": "untitled:b", "version": 2},
        contentChanges=[{"range": None, "text": mark}],
    )
    assert logged(caplog)
    assert mark not in "\n".join(logged(caplog))
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"


async def test_a_handler_that_fails_is_answered_and_its_place_logged(
    wire, root, monkeypatch, caplog
):
    await wire.begin(root)

    def fail():
        raise ZeroDivisionError("def very_private_function(): pass")

    monkeypatch.setattr(wire.server.session, "status", fail)
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32603
    monkeypatch.undo()
    (line,) = [text for text in logged(caplog) if "ZeroDivisionError" in text]
    assert "test_traces_and_logs.py:" in line
    assert "very_private" not in line
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
