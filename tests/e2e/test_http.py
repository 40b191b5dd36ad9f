"""A real server over real HTTP, as curl would ask it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.deadline import DEADLINE_S
from tests.e2e.editor import Editor, scripted
from tests.e2e.http_server import HttpServer, address, serving, until
from tests.e2e.http_shop import ANSWERS, AT, RECORDED, SHAPES, window

# What is answered.


def test_health_props_and_models(server: HttpServer) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    props = server.client.get("/props").json()
    assert props["model_path"].startswith("script:")
    assert props["default_generation_settings"]["params"]["n_predict"] == 48
    models = server.client.get("/v1/models").json()
    assert models["object"] == "list"
    assert models["data"][0]["id"] == props["model_alias"]


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
