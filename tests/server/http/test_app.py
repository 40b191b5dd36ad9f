"""Every request has an answer in JSON, and the server never fails over one."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx2
import pytest

from lsp_server.http.app import MAX_WAITING, new_app
from lsp_server.http.guard import Guard
from lsp_server.http.suggesting import Suggesting


@asynccontextmanager
async def client_of(wire, root):
    await wire.begin(root)
    await wire.indexed()
    app = Guard(new_app(wire.server.session), None)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="http://localhost"
    ) as client:
        yield client


ODD = [
    "",
    "\ud800",
    "\0",
    "😀" * 50,
    "\r\n\r",
    "<|fim_prefix|>",
    "a" * 100_000,
    "\u2028\f\v",
    ")" * 99,
]


@pytest.mark.parametrize("path", ["/infill", "/v1/completions"])
async def test_any_texts_have_an_answer(wire, root, path):
    async with client_of(wire, root) as client:
        for before in ODD:
            for after in ODD:
                body = {"input_prefix": before, "input_suffix": after, "prompt": before}
                body |= {"suffix": after, "automatic": False, "stream": len(before) % 2 == 1}
                response = await client.post(path, content=json.dumps(body).encode())
                assert response.status_code == 200
                response.content.decode("ascii")


@pytest.mark.parametrize("file", ["/", ".", "..", "no/such/file.xyz", "a\nb.py", "C:\\a.py", "%00"])
async def test_any_name_of_a_file_has_an_answer(wire, root, file):
    async with client_of(wire, root) as client:
        body = {"input_prefix": "x = ", "input_suffix": "", "file": file, "automatic": False}
        response = await client.post("/infill", json=body)
        assert (response.status_code, response.json()["content"]) == (200, "text()")


async def test_a_fault_of_ours_is_an_error_in_json_and_not_in_the_log_with_texts(
    wire, root, monkeypatch, caplog
):
    async def fail(self, asked):
        raise KeyError(asked.before)

    monkeypatch.setattr(Suggesting, "answer", fail)
    async with client_of(wire, root) as client:
        body = {"input_prefix": "the source", "input_suffix": ""}
        response = await client.post("/infill", json=body)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "KeyError at test_app.py:" in caplog.text
    assert "the source" not in caplog.text + response.text


async def test_more_requests_than_can_wait_are_refused(wire, root):
    async with client_of(wire, root) as client:
        wire.engine.may_answer.clear()

        def ask(number):
            body = {"prompt": f"x{number} = "}
            return asyncio.ensure_future(client.post("/v1/completions", json=body))

        waiting = [ask(number) for number in range(MAX_WAITING)]
        while len(wire.engine.asked) < MAX_WAITING:
            await asyncio.sleep(0.01)
        refused = await ask(MAX_WAITING)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        wire.engine.may_answer.set()
        assert {(await each).status_code for each in waiting} == {200}
