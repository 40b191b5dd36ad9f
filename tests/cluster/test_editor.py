"""A real server whose settings name a team's engine: the same features, and the local fallback."""

import asyncio
import ssl
import subprocess
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.documents.document import Position
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress, TeamHttp, TeamUnreachable

from .conftest import APP, Team
from .wires import Wire

CHANGED = "pkg0/module_003.py"
N_MOST = 7000
"""Tokens: more than the local budget and open files, fewer than the cluster has."""
TEXT = "def mine(value):\n    v"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The repository as a user has it: one file changed, one new, one open file to come."""
    root = tmp_path / "app"
    for name, text in APP.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / CHANGED).write_text(APP[CHANGED] + "CHANGED_HERE = 1\n")
    (root / "new.py").write_text("NEW_HERE = 2\n")
    return root


@pytest.fixture
def token_file(team: Team, tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(team.tokens["ada"] + "\n")
    return path


def settings(url: str, token_file: Path, cache: Path) -> dict[str, Any]:
    engine = {"url": url, "repository": "team/app", "tokenFile": str(token_file), "shared": False}
    return {
        "engine": {**engine, "idleMs": 0},
        "model": {"path": "tiny", "threads": 1},
        "memory": {"cacheDir": str(cache), "maxTokens": 5000},
    }


async def asked(client: HeadlessClient, uri: str) -> dict[str, Any]:
    """Ask for a suggestion; where it came from."""
    await client.complete(uri, Position(1, 5))
    explained = await client.explain()
    assert explained is not None
    return explained


async def test_the_cluster_answers_and_the_local_engine_takes_over(
    team: Team, folder: Path, token_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(team.url)
    await wire.mend()
    given = settings(wire.url, token_file, tmp_path / "cache")
    async with headless(folder, given) as client:
        status = await client.wait_until_indexed()
        assert "the team's engine at" in status["message"]
        assert "changed files (2) go there, nothing else" in status["message"]
        full = await client.status()
        assert full["files"]["in_memory"] == len(APP) + 1
        assert full["files"]["left_out"] == 0  # the budget is for this machine's memory
        assert full["engine"]["n_tokens"] == full["files"]["tokens"]
        assert full["engine_pid"] is None
        uri = client.open(folder / "cursor.py", TEXT)
        explained = await asked(client, uri)
        assert explained["reason"] in (None, "nothing_to_add", "repeats_line")
        assert explained["timings"]["memory_tokens"] > N_MOST
        assert b"CHANGED_HERE" in wire.sent
        assert b"NEW_HERE" in wire.sent
        unchanged = [text for name, text in APP.items() if name != CHANGED]
        assert not any(text.splitlines()[3].encode() in wire.sent for text in unchanged)

        wire.cut()
        await asked(client, uri)  # somebody notices
        status = await _until_said(client, "the local one answers")
        assert status["kind"] == "Warning"
        status = await client.wait_until_indexed()
        explained = await asked(client, uri)
        assert explained["timings"]["memory_tokens"] < N_MOST
        assert (await client.status())["engine_pid"] is not None

        await wire.mend()
        await _until_said(client, "go there, nothing else")
        await client.wait_until_indexed()
        assert (await client.status())["files"]["left_out"] == 0
        assert (await asked(client, uri))["timings"]["memory_tokens"] > N_MOST
    wire.cut()


async def _until_said(client: HeadlessClient, words: str) -> dict[str, Any]:
    for _ in range(300):
        status = await client.status()
        if words in status["message"]:
            return status
        await asyncio.sleep(0.1)
    raise AssertionError(f"{words!r} is not in {status['message']!r}")


async def test_a_refusal_is_told(
    team: Team, folder: Path, token_file: Path, tmp_path: Path
) -> None:
    token_file.write_text(team.tokens["bob"])
    async with headless(folder, settings(team.url, token_file, tmp_path / "cache")) as client:
        status = await _until_said(client, "may not read 'team/app'")
        assert "the local one answers" in status["message"]
        status = await client.wait_until_indexed()
        assert status["phase"] == "ready"


async def test_a_folder_inside_a_repository_keeps_its_names(
    team: Team, folder: Path, tmp_path: Path
) -> None:
    (folder / ".git").mkdir()
    client = TeamClient(team.address("ada"), folder / "pkg1", "team/app")
    await client.join()
    assert (await client.remember("module_001.py", APP["pkg1/module_001.py"])).n_encoded == 0
    await client.remember("mine.py", TEXT)
    assert set(client._overlay.files) == {"pkg1/mine.py"}
    await client.leave()


# TLS, which Ray Serve's own proxies speak in `longllama cluster serve`.


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody but its owner trusts, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_a_certificate_must_be_trusted(certificate: tuple[Path, Path]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = TeamAddress(f"https://localhost:{server.server_address[1]}", "token")
    try:
        with pytest.raises(TeamUnreachable, match="certificate is not trusted"):
            await TeamHttp(address).ask("GET", "/")
        trusting = TeamHttp(replace(address, certificate=str(certificate[0])))
        assert await trusting.ask("GET", "/") == {}
        await trusting.close()
    finally:
        server.shutdown()
        server.server_close()
