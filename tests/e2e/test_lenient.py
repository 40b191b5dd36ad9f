"""Clients that write headers as they like and know more than the server's protocol, for real."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.bench.raw_client import RawClient, scripted
from tests.deadline import DEADLINE_S
from tests.e2e.test_strangers import listening

CAN = {
    "workspace": {
        "symbol": {"symbolKind": {"valueSet": [1, 27]}, "tagSupport": {"valueSet": [1, 2]}},
        "workspaceEdit": {"resourceOperations": ["create", "link"]},
    },
    "textDocument": {
        "completion": {"completionItem": {"insertTextModeSupport": {"valueSet": [3]}}}
    },
}
HEADERS = [
    "content-length: %d\r\n\r\n",
    "Content-Length:%d\r\n\r\n",
    "CONTENT-LENGTH :\t%d\n\n",
    "content-type:application/vscode-jsonrpc\r\ncontent-length:%d\r\n\r\n",
]


@pytest.mark.parametrize("header", HEADERS)
async def test_headers_have_any_case_and_spacing_over_stdio(tmp_path: Path, header: str) -> None:
    root = tmp_path / "ws"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    client = RawClient(root, scripted(tmp_path, answers=[{"text": "1"}]), DEADLINE_S)
    client.header = lambda length: (header % length).encode()
    await client.start(tmp_path / "log", more={"trace": "compact"}, can=CAN)
    client.send_bytes(b"Content-Length: 99999999999999999999\r\n\r\n")
    status = await client.ask("longllama/waitUntilIndexed")
    assert status["result"]["phase"] == "ready"
    item = {"uri": "untitled:a", "languageId": "python", "version": None, "text": "one\ntwo = "}
    client.notify("textDocument/didOpen", {"textDocument": item})
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 2**32 - 1, "character": 0}}
    client.notify(
        "textDocument/didChange",
        {
            "textDocument": {"uri": "untitled:a", "version": 2},
            "contentChanges": [{"range": place, "text": "new = "}],
        },
    )
    position = {"line": 2**53 - 1, "character": 0}
    params = {"textDocument": {"uri": "untitled:a"}, "position": position}
    answer = await client.ask("textDocument/inlineCompletion", params)
    (item,) = answer["result"]["items"]
    assert item["insertText"] == "1"
    assert item["range"]["start"] == {"line": 0, "character": 6}
    assert await client.end() == 0
    log = (tmp_path / "log").read_text()
    assert "params.capabilities.workspace.symbol.symbolKind.valueSet[1]" in log
    assert "params.trace was not understood and left out: 'compact'" in log


INITIALIZE = {"id": 1, "method": "initialize", "params": {"capabilities": CAN, "trace": "compact"}}


@pytest.mark.parametrize("header", HEADERS)
async def test_headers_have_any_case_and_spacing_over_tcp(header: str) -> None:
    body = json.dumps(INITIALIZE)
    async with listening("--tcp") as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((header % len(body) + body).encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        writer.close()
    assert head.startswith(b"Content-Length: ")


@pytest.mark.parametrize("header", ["", "Content-Length: 5\r\n\r\n"])
async def test_unknown_values_are_left_out_over_a_websocket(header: str) -> None:
    async with (
        listening("--ws") as (_, port),
        connect(f"ws://127.0.0.1:{port}") as editor,
    ):
        await editor.send("no JSON")
        await editor.send(header + json.dumps(INITIALIZE))
        answer = json.loads(await asyncio.wait_for(editor.recv(), DEADLINE_S))
    assert "capabilities" in answer["result"]
