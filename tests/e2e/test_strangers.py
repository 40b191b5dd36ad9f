"""What must not reach the server: a repository's own modules, web pages, other people's eyes."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lsp_server import transports
from lsp_server.cli.main import main
from lsp_server.clients.headless import headless
from tests.deadline import DEADLINE_S
from tests.paths import ROOT

TOKEN = "a token for this test"


@asynccontextmanager
async def listening(
    option: str, *more: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A server on a port of the system's choice."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lsp_server", option, "0", *more), stderr=asyncio.subprocess.PIPE
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
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
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


async def handshake(port: int, options: dict[str, object]) -> dict[str, object]:
    """The answer to `initialize`, over TCP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    params = {
        "processId": None,
        "rootUri": None,
        "capabilities": {},
        "initializationOptions": options,
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    body = json.dumps(request).encode()
    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
    (length,) = re.findall(rb"Content-Length: (\d+)", head)
    answer = json.loads(await reader.readexactly(int(length)))
    writer.close()
    return answer


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.mark.parametrize("options", [{}, {"token": "another token of that length"}])
async def test_without_the_token_a_client_is_sent_away(token_file: Path, options) -> None:
    async with listening("--tcp", "--token-file", str(token_file)) as (process, port):
        answer = await handshake(port, options)
        assert "initializationOptions.token is missing or wrong" in answer["error"]["message"]
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == 1


async def test_with_the_token_a_client_is_served(token_file: Path) -> None:
    async with listening("--tcp", "--token-file", str(token_file)) as (_, port):
        answer = await handshake(port, {"token": TOKEN, "enable": False})
        assert answer["result"]["serverInfo"]["name"] == "longllama-lsp"


@pytest.mark.parametrize(
    ("host", "given", "is_made_up"),
    [
        ("127.0.0.1", None, False),
        ("::1", None, False),
        ("0.0.0.0", None, True),
        ("0.0.0.0", TOKEN, False),
        ("example.org", None, True),
    ],
)
def test_beyond_this_machine_there_is_always_a_token(
    monkeypatch, capsys, host: str, given: str | None, is_made_up: bool
) -> None:
    asked_for: list[str | None] = []

    class RecordedError(Exception):
        """Nothing is to be served."""

    def server(_: object, token: str | None) -> None:
        asked_for.append(token)
        raise RecordedError

    monkeypatch.setattr(transports, "new_server", server)
    with pytest.raises(RecordedError):
        transports.serve("tcp", host, 0, None, given)
    (token,) = asked_for
    if is_made_up:
        assert len(token) >= 32
        assert repr(token) in capsys.readouterr().err
    else:
        assert token == given


def test_a_short_token_is_refused(tmp_path: Path, capsys) -> None:
    short = tmp_path / "token"
    short.write_text("1234\n")
    assert main(["--tcp", "0", "--token-file", str(short)]) == 1
    assert "the token has 4 characters; give 16 or more" in capsys.readouterr().err
    assert main(["--tcp", "0", "--token-file", str(tmp_path / "none")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_the_store_is_the_users_alone(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    command = [sys.executable, "-m", "lsp_server", "status", "--model", "tiny"]
    command += ["--root", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    subprocess.run(command, check=True, capture_output=True, timeout=2 * DEADLINE_S)
    (store,) = (tmp_path / "cache" / "memory").iterdir()
    assert oct(store.stat().st_mode & 0o777) == "0o700"
    assert (store / "manifest.sqlite").exists()


async def test_a_client_in_another_container_is_not_missed(tmp_path: Path) -> None:
    """Its process id means nothing here; one that was never seen cannot be gone."""
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    from lsp_server.handlers.lifecycle import _watch_parent

    await asyncio.wait_for(_watch_parent(ended.pid), DEADLINE_S)
