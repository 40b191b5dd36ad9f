"""What must not reach the server: a repository's own modules, web pages, other people's eyes."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lsp_server.headless import headless

DEADLINE_S = 30


@asynccontextmanager
async def listening(option: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A server on a port of the system's choice."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lsp_server", option, "0"), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), DEADLINE_S)
        yield process, int(re.findall(rb":(\d+)$", line.strip())[0])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()


async def test_modules_of_the_workspace_are_not_run(tmp_path: Path, monkeypatch) -> None:
    ws = tmp_path / "ws"
    ws.mkdir()
    mark = tmp_path / "was-run"
    for name in ("argparse", "torch", "logging", "json"):
        (ws / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(ws)
    # Where the tests run from a checkout that is not installed, the path to it is relative.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    settings = {"model": {"path": "tiny"}, "memory": {"cacheDir": str(tmp_path / "cache")}}
    async with headless(ws, settings) as client:
        status = await asyncio.wait_for(client.wait_until_indexed(), DEADLINE_S)
    assert status["phase"] == "ready"
    assert status["files"]["in_memory"] == 4
    assert not mark.exists()


async def test_a_web_page_cannot_connect_to_the_websocket() -> None:
    async with listening("--ws") as (_, port):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(f"ws://127.0.0.1:{port}", origin="https://example.com")  # type: ignore
        async with connect(f"ws://127.0.0.1:{port}") as editor:  # no page: no origin
            request = {"jsonrpc": "2.0", "id": 1, "method": "longllama/status", "params": {}}
            await editor.send(json.dumps(request))
            answer = json.loads(await asyncio.wait_for(editor.recv(), DEADLINE_S))
    assert answer["id"] == 1


async def test_a_form_posted_to_the_port_is_not_obeyed() -> None:
    async with listening("--tcp") as (process, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"jsonrpc":"2.0","id":1,"method":"longllama/status","params":{}}'
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
        writer.close()
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 1


def test_the_store_is_the_users_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    command = [sys.executable, "-m", "lsp_server", "status", "--model", "tiny"]
    command += ["--root", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (store,) = (tmp_path / "cache" / "memory").iterdir()
    assert oct(store.stat().st_mode & 0o777) == "0o700"
    assert (store / "manifest.sqlite").exists()


@pytest.mark.skipif(os.name == "nt", reason="processes are not asked for there")
async def test_a_client_in_another_container_is_not_missed(tmp_path: Path) -> None:
    """Its process id means nothing here; one that was never seen cannot be gone."""
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    from lsp_server.features.lifecycle import _watch_parent

    await asyncio.wait_for(_watch_parent(ended.pid), 1)
