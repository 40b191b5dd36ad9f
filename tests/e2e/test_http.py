"""A real server over real HTTP, as curl would ask it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.editor import DEADLINE_S, Editor, scripted
from tests.e2e.http_server import HttpServer, address, serving, until
from tests.paths import ROOT

SHAPES = '''"""Shapes of all kinds."""

import math


class Rectangle:
    def __init__(self, width, height):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height


def perimeter_of(rectangle):
    return 2 * (rectangle.width + rectangle.height)


def circumference_of(circle):
    return 2 * math.pi * circle.radius


def radius_of_circle_with(circumference):
    return circumference / (2 * math.pi)
'''
REST = "self.width * self.height"
AT = SHAPES.index(REST)
WINDOW = SHAPES.index("    def __init__"), SHAPES.index("\n\ndef radius_of")
"""The part of the file that a request sends."""
ANSWERS = [
    {"text": "in_shapes()", "path": "shapes.py"},
    {"text": "in_circles()", "path": "lib/circles.py"},
    {"text": "anywhere()", "path": "untitled"},
    {"text": "elsewhere()"},
]


def write_shop(root: Path) -> Path:
    (root / "lib").mkdir(parents=True)
    (root / "shapes.py").write_text(SHAPES)
    (root / "lib" / "circles.py").write_text("import math\n\n\ndef f(x):\n    return x\n")
    return root


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace folder of a test's own."""
    return write_shop(tmp_path / "ws")


@pytest.fixture(scope="module")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("http") / "ws")


@pytest.fixture(scope="module")
def server(shared_shop: Path) -> Iterator[HttpServer]:
    """A server for all tests that change no file."""
    with serving(shared_shop, shared_shop.parent, ANSWERS) as running:
        running.until_ready()
        yield running


def window(typed: str = "") -> tuple[str, str]:
    """A part of the file around a cursor whose line is not finished, as editors send it."""
    return SHAPES[WINDOW[0] : AT] + typed, SHAPES[AT + len(REST) : WINDOW[1]] + "\n"


# What is answered.


def test_health_props_and_models(server: HttpServer) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    props = server.client.get("/props").json()
    assert props["model_path"].startswith("script:")
    assert props["default_generation_settings"]["params"]["n_predict"] == 48
    models = server.client.get("/v1/models").json()
    assert models["object"] == "list"
    assert models["data"][0]["id"] == props["model_alias"]


RECORDED = json.loads((ROOT / "tests" / "data" / "llama_server.json").read_text("utf-8"))
"""Responses of llama.cpp's server, build b1-0c1e570, with the default model."""


def kinds(value: Any) -> Any:
    """The names of fields and the types of their values; numbers are of one type."""
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def has_the_fields_of(found: Any, recorded: Any) -> bool:
    """Whether a response has all fields of llama.cpp's but settings of sampling, and its types."""
    recorded = {**recorded, "generation_settings": {}} if "content" in recorded else recorded
    ours = {name: kinds(found[name]) for name in recorded}
    if "generation_settings" in recorded and "generation_settings" in found:
        ours["generation_settings"] = {}
    return ours == kinds(recorded)


def test_an_infill_has_the_fields_of_llama_cpp(server: HttpServer) -> None:
    found = server.infill("x = 1\n", prompt="y = ")
    assert has_the_fields_of(found, RECORDED["infill"])
    assert (found["content"], found["stop"]) == ("anywhere()", True)
    assert found["tokens_cached"] == found["tokens_evaluated"] + found["tokens_predicted"]


def test_the_fields_that_are_wanted_are_sent_alone_and_unnested(server: HttpServer) -> None:
    wanted = ["content", "timings/prompt_n", "truncated", "no/such"]
    found = server.infill("x = 1\n", prompt="y = ", response_fields=wanted)
    assert found == {"content": "anywhere()", "timings/prompt_n": 10, "truncated": False}
    assert server.infill("", response_fields=[""]) == {}


def test_several_texts_are_a_list_and_one_is_an_object(server: HttpServer) -> None:
    several: Any = server.infill("x = 1\n", prompt="y = ", n_cmpl=3)
    assert [each["content"] for each in several] == ["anywhere()"]


def test_nothing_is_written_where_the_model_is_to_read_ahead(server: HttpServer) -> None:
    found = server.infill("x = 1\n", n_predict=0)
    assert (found["content"], found["tokens_predicted"]) == ("", 0)


def test_a_text_ends_at_its_stop(server: HttpServer) -> None:
    found = server.infill("x = 1\n", prompt="y = ", stop=["()", "where"])
    assert (found["content"], found["stop_type"]) == ("any", "word")
    assert found["stopping_word"] == "where"


def test_a_streamed_infill_is_events(server: HttpServer) -> None:
    body = {"input_prefix": "x = 1\n", "input_suffix": "", "prompt": "y = ", "stream": True}
    response = server.post("/infill", body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in response.text.split("\n\n") if line]
    assert kinds(events[0]) == kinds(RECORDED["infill_stream"][0])
    assert has_the_fields_of(events[1], RECORDED["infill_stream"][1])
    assert "".join(event["content"] for event in events) == "anywhere()"
    assert [event["stop"] for event in events] == [False, True]
    assert events[-1]["timings"]["predicted_n"] == len("anywhere()")


def test_a_completion_has_the_fields_of_openai(server: HttpServer) -> None:
    found = server.post("/v1/completions", {"prompt": "x = 1\ny = ", "suffix": "\n"}).json()
    assert has_the_fields_of(found, RECORDED["completion"])
    choice = {"index": 0, "text": "anywhere()", "logprobs": None, "finish_reason": "stop"}
    assert found["choices"] == [choice]
    assert found["object"] == "text_completion"
    assert found["usage"]["total_tokens"] == 10 + len("anywhere()")


# Which file it is about.


def test_a_file_is_known_by_its_text(server: HttpServer) -> None:
    before, after = window("1 + ")
    found = server.infill(before, after)
    assert found["content"] == "in_shapes()"
    assert found["tokens_evaluated"] == len(SHAPES[:AT] + "1 + ")  # all that is above, too


def test_files_that_change_are_known_as_the_memory_has_them(shop: Path, tmp_path: Path) -> None:
    before, after = window()
    with serving(shop, tmp_path, ANSWERS) as server:
        server.until_ready()
        assert server.infill(before, after)["content"] == "in_shapes()"
        (shop / "shapes.py").write_text(SHAPES.replace("2 * math.pi", "math.tau"))
        for _ in range(5):  # before and after the change is read
            assert server.infill(before, after)["content"] == "in_shapes()"
            time.sleep(0.2)
        (shop / "copy.py").write_text(SHAPES.replace("2 * math.pi", "math.tau"))
        # Which of the two is asked about cannot be told, unless it was just now.
        assert server.infill(before, after)["content"] == "in_shapes()"
        (shop / "shapes.py").write_text(SHAPES + 'password = "hX7kq92LmQpz81"\n')
        until(lambda: is_read_no_more(server))
        found = server.infill(before, after, file="shapes.py")
        assert found["content"] == "in_shapes()"
        assert found["tokens_evaluated"] == len(before)


def is_read_no_more(server: HttpServer) -> bool:
    found = server.infill(*window(), file="shapes.py")
    return found["tokens_evaluated"] == len(window()[0])


@pytest.mark.parametrize("name", ["lib/circles.py", "./lib/../lib/circles.py"])
def test_a_file_is_known_by_the_name_that_a_request_gives(server: HttpServer, name: str) -> None:
    assert server.infill("x = ", file=name)["content"] == "in_circles()"
    body = {"input_prefix": "x = ", "input_suffix": "\n"}
    assert server.post("/infill", body, x_longllama_file=name).json()["content"] == "in_circles()"
    body = {"prompt": "x = ", "suffix": "\n", "file": name}
    assert server.post("/v1/completions", body).json()["choices"][0]["text"] == "in_circles()"


def test_an_absolute_path_is_that_of_a_file(server: HttpServer, shared_shop: Path) -> None:
    path = str(shared_shop / "lib" / "circles.py")
    assert server.infill("x = ", file=path)["content"] == "in_circles()"


def test_marks_in_a_prompt_name_the_file_and_part_it(server: HttpServer) -> None:
    prompt = "<|file_sep|>lib/circles.py\n<|fim_prefix|>x = <|fim_suffix|>\n<|fim_middle|>"
    found = server.post("/v1/completions", {"prompt": prompt}).json()
    assert found["choices"][0]["text"] == "in_circles()"
    assert found["usage"]["prompt_tokens"] == len("x = ")


def test_nothing_is_suggested_in_a_private_file(server: HttpServer) -> None:
    found = server.infill("TOKEN=", file=".env")
    assert (found["content"], found["longllama"]["reason"]) == ("", "secret_file")


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


# Beside a language client.


async def test_http_beside_a_language_client_has_its_session(shop: Path, tmp_path: Path) -> None:
    """An unsaved text of the editor counts, and the answer is explained to the editor."""
    import httpx2

    answers = [{"text": "in_open_text()", "path": "lib/circles.py"}, {"text": "elsewhere()"}]
    settings = scripted(tmp_path, answers=answers)
    editor = Editor(tmp_path)
    try:
        await editor.start(shop, settings=settings, arguments=("--stdio", "--http", "0"))
        url = address(Path(str(editor._log.name)))
        await editor.indexed()
        unsaved = "".join(f"def unsaved_function_{number}(x): ...\n" for number in range(40))
        editor.open((shop / "lib" / "circles.py").as_uri(), unsaved)
        await editor.indexed()
        lines = unsaved.splitlines(keepends=True)
        body = {"input_prefix": "".join(lines[10:20]), "input_suffix": "\n" + "".join(lines[20:30])}
        async with httpx2.AsyncClient(base_url=url, timeout=DEADLINE_S, trust_env=False) as client:
            found = (await client.post("/infill", json=body)).json()
        assert found["content"] == "in_open_text()"
        assert found["tokens_evaluated"] == len("".join(lines[:20]))
        assert (await editor.ask("longllama/explain"))["text"] == "in_open_text()"
        await editor.close()
    finally:
        await editor.kill()


async def test_before_a_language_client_begins_nothing_is_answered(tmp_path: Path) -> None:
    import httpx2

    command = [sys.executable, "-m", "lsp_server", "serve", "--tcp", "0", "--http", "0"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stderr=output)
    try:
        url = address(log, process)
        response = httpx2.get(f"{url}/health", timeout=DEADLINE_S, trust_env=False)
        assert response.status_code == 503
        assert "no language client has opened a folder yet" in response.json()["error"]["message"]
    finally:
        process.kill()
        process.wait(DEADLINE_S)
