"""Requests before, after and outside of a session, those that cannot be read, and tokens."""

import asyncio

import pytest

from tests.server.wire import RpcError, Wire


async def test_nothing_is_done_before_the_handshake(wire):
    for method in ("longllama/status", "longllama/memory", "shutdown"):
        with pytest.raises(RpcError) as caught:
            await wire.ask(method)
        assert caught.value.code == -32002
    wire.open("untitled:a", "x = ")
    assert len(wire.server.session.documents) == 0
    assert wire.heard == []


async def test_a_second_handshake_is_refused(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError, match="initialized already"):
        await wire.ask("initialize", processId=None, rootUri=None, capabilities={})


async def test_after_shutdown_everything_is_refused(wire, root):
    await wire.begin(root)
    await wire.ask("shutdown")
    with pytest.raises(RpcError, match="shut down") as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32600


async def test_shutdown_answers_what_runs(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    request = asyncio.ensure_future(wire.inline(wire.open("untitled:a", "x = "), 0, 4))
    await wire.until(lambda: wire.engine.asked)
    await wire.ask("shutdown")
    assert await request == {"items": []}


async def test_an_unknown_method_and_command_are_errors(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/nothing")
    assert caught.value.code == -32601
    with pytest.raises(RpcError) as caught:
        await wire.command("longllama.nothing")
    assert caught.value.code == -32602


@pytest.mark.parametrize("params", [{}, {"textDocument": 3}, {"position": None}, [1], None])
async def test_a_request_that_cannot_be_read_has_an_answer(wire, root, params):
    await wire.begin(root)
    with pytest.raises(RpcError) as caught:
        await wire.ask_as_is("textDocument/inlineCompletion", params)
    assert caught.value.code == -32602


async def test_a_notification_sent_as_a_request_has_an_answer(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError, match="notification") as caught:
        await wire.ask("textDocument/didClose", textDocument={"uri": "untitled:a"})
    assert caught.value.code == -32600


# Tokens.


@pytest.mark.parametrize("options", [None, {}, {"token": "wrong"}, {"token": 3}, [1], "token"])
async def test_a_client_without_the_token_is_refused(monkeypatch, options):
    wire = Wire(monkeypatch, token="a token of the server")
    with pytest.raises(RpcError, match=r"initializationOptions\.token is missing or wrong"):
        await wire.ask(
            "initialize",
            processId=None,
            rootUri=None,
            capabilities={},
            initializationOptions=options,
        )
    assert wire.server.stop_event.is_set()
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32002


async def test_a_client_with_the_token_is_served(monkeypatch, root):
    wire = Wire(monkeypatch, token="a token of the server")
    await wire.begin(root, options={"token": "a token of the server", "enable": False})
    assert (await wire.ask("longllama/status"))["phase"] == "off"
    assert wire.messages == []
    await wire.end()
