"""What a server over real HTTP refuses, who may ask it, and how requests and the server end."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.deadline import DEADLINE_S
from tests.e2e.http_server import HttpServer, serving, until
from tests.e2e.http_shop import ANSWERS, RECORDED

# What is refused.


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "message"),
    [
        ("GET", "/", b"", 404, "GET / is not served; these are: POST /infill"),
        ("GET", "/infill", b"", 405, "GET /infill is not served"),
        ("POST", "/v1/chat/completions", b"{}", 404, "is not served"),
        ("POST", "/infill", b"", 400, "the body is not JSON"),
        ("POST", "/infill", b"[1]", 400, "the body is [1]; send a JSON object."),
        ("POST", "/infill", b"\xff\xfe{", 400, "the body is not JSON"),
        ("POST", "/infill", b"[" * 100_000, 400, "the body is not JSON"),
        ("POST", "/infill", b'{"input_prefix": "a"}', 400, "'input_suffix' is missing"),
        ("POST", "/v1/completions", b'{"prompt": 1}', 400, "'prompt' is 1; send a string"),
        ("POST", "/infill", b" " * 5_000_000, 413, "the body is 5000000 bytes; send 4194304"),
    ],
)
def test_a_bad_request_has_an_error_in_json(
    server: HttpServer, method: str, path: str, content: bytes, status: int, message: str
) -> None:
    response = server.client.request(method, path, content=content)
    error = response.json()["error"]
    assert set(error) >= set(RECORDED["error"]["error"])
    assert (response.status_code, error["code"]) == (status, status)
    assert message in error["message"]
    assert error["type"].endswith("_error")


@pytest.mark.parametrize(
    ("request_line", "header", "status"),
    [
        ("POST /infill", "Accept: */*", 413),
        ("POST /v1/chat/completions", "Accept: */*", 404),
        ("GET /infill", "Accept: */*", 405),
        ("POST /infill", "Origin: https://evil.example", 403),
    ],
)
def test_a_client_that_sends_all_before_it_reads_has_its_refusal(
    server: HttpServer, request_line: str, header: str, status: int
) -> None:
    body = b" " * 20_000_000
    head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(
        (server.client.base_url.host, server.client.base_url.port or 80), DEADLINE_S
    ) as connection:
        connection.sendall(f"{head}{header}\r\n\r\n".encode() + body)
        answer = connection.recv(65536)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_body_without_end_is_refused(server: HttpServer) -> None:
    chunks = (b" " * 1_000_000 for _ in range(50))
    response = server.client.post("/infill", content=chunks)
    assert response.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8012"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
    ],
)
def test_a_web_page_may_not_ask(server: HttpServer, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/infill"), ("GET", "/health"), ("OPTIONS", "/infill")):
        response = server.client.request(method, path, headers=headers, content=b"{}")
        assert response.status_code == 403
        assert response.json()["error"]["type"] == "permission_error"
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9", "127.1.2.3"])
def test_this_machine_may_ask(server: HttpServer, host: str) -> None:
    assert server.client.get("/health", headers={"Host": host}).status_code == 200


# Tokens.


def test_with_a_token_it_must_be_sent(shop: Path, tmp_path: Path) -> None:
    token = "a token of some length"
    with serving(shop, tmp_path, ANSWERS, env={"LONGLLAMA_TOKEN": token}) as server:
        until(lambda: server.client.get("/health").status_code == 200)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"}):
            response = server.client.get("/v1/models", headers=headers)
            assert response.status_code == 401
            assert response.json()["error"]["type"] == "authentication_error"
        for headers in ({"Authorization": f"Bearer {token}"}, {"X-Api-Key": token}):
            assert server.client.get("/v1/models", headers=headers).status_code == 200


def test_beyond_loopback_a_token_is_made_up_and_printed(shop: Path, tmp_path: Path) -> None:
    with serving(shop, tmp_path, ANSWERS, "--host", "0.0.0.0") as server:
        until(lambda: server.client.get("/health").status_code == 200)
        assert server.client.get("/v1/models").status_code == 401
        token = server.log.read_text().split("Authorization: Bearer ")[1].split()[0]
        headers = {"Authorization": f"Bearer {token}", "Host": "some.machine.example:80"}
        assert server.client.get("/v1/models", headers=headers).status_code == 200


# Ends.


def test_a_client_that_goes_ends_its_request(shop: Path, tmp_path: Path) -> None:
    """The engine does one request at a time: the next would wait for an hour."""
    answers = [{"text": "late", "before": "late = ", "delay_ms": 3_600_000}, {"text": "soon"}]
    settings = shop / "pyproject.toml"
    settings.write_text("[tool.longllama.completion]\ntimeoutMs = 3600000\n")
    env = {"XDG_RUNTIME_DIR": str(tmp_path / "none")}  # no other server has this engine
    with serving(shop, tmp_path, answers, env=env) as server:
        server.until_ready()
        children = psutil.Process(server.process.pid).children(recursive=True)
        host, port = server.url.removeprefix("http://").split(":")
        body = json.dumps({"input_prefix": "late = ", "input_suffix": "", "automatic": False})
        head = f"POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection((host, int(port)), DEADLINE_S) as connection:
            connection.sendall((head + body).encode())
            time.sleep(1)  # it is asked of the engine
        assert server.infill("soon = ", automatic=False)["content"] == "soon"
    _, alive = psutil.wait_procs(children, DEADLINE_S)
    assert children
    assert not alive  # the server was told to end, and its engine went with it


def test_a_port_that_is_taken_is_named(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments in (["--root", str(shop)], ["--stdio"]):
            command = [sys.executable, "-m", "lsp_server", "serve", "--http", str(port), *arguments]
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
            )
            assert done.returncode == 1
            assert f"HTTP cannot be served on 127.0.0.1:{port}: " in done.stderr
            assert done.stderr.endswith("give another --http PORT or --host.\n")
            assert "never awaited" not in done.stderr


def test_without_the_extra_its_name_is_told(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text('raise ImportError("none", name="uvicorn")\n')
    command = [sys.executable, "-m", "lsp_server", "serve", "--http", "0", "--root", str(shop)]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, env=env)
    assert done.returncode == 1
    assert "uvicorn is not installed, which --http needs; install the extra with" in done.stderr
    assert "`pip install 'longllama-code-lsp[http]'`" in done.stderr
