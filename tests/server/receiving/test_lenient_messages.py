"""Lists with a wrong element, and messages of JSON-RPC that are not quite right."""

import asyncio
import json

import pytest


async def test_one_wrong_element_loses_none_of_the_others(wire, root):
    await wire.begin(root)
    await wire.indexed()
    await asyncio.to_thread(wire.server.session.folders._watcher.stop)
    path = root / "new.py"
    path.write_text("x = 1\n")
    changes = [None, 3, {"type": 1}, {"uri": 5, "type": 1}, {"uri": path.as_uri(), "type": 99}]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    await wire.until(lambda: "new.py" in wire.engine.texts)
    wire.server.session.folders._watcher = None


async def test_workspace_folders_are_added_beside_wrong_ones(wire, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.py").write_text("y = 2\n")
    await wire.begin(root)
    await wire.indexed()
    event = {"added": [None, {"uri": other.as_uri()}, {"name": "x"}]}
    wire.notify("workspace/didChangeWorkspaceFolders", event=event)
    await wire.until(lambda: set(wire.engine.texts) == {"ws/lib.py", "other/b.py"})


@pytest.mark.parametrize("extra", [{"jsonrpc": "1.0"}, {"jsonrpc": None}, {"jsonrpc": 2.0}])
async def test_another_version_of_json_rpc_is_answered(wire, root, extra):
    await wire.begin(root)
    wire._send({"id": "x", "method": "longllama/status", **extra})
    await wire.until(lambda: wire.n_answers.get("x") == 1)
    assert wire.raw["x"]["jsonrpc"] == "2.0"


def receive(wire, value):
    wire.server.receive(value if isinstance(value, bytes) else json.dumps(value).encode())


async def test_messages_in_a_list_are_each_handled(wire, root):
    await wire.begin(root)
    status = {"method": "longllama/status"}
    receive(wire, [{"id": "a", **status}, 3, {}, None, {"id": "b", "jsonrpc": "2.0", **status}])
    await wire.until(lambda: {"a", "b"} <= set(wire.n_answers))


async def test_an_object_within_params_may_look_like_a_message(wire, root):
    await wire.begin(root)
    inner = {"jsonrpc": "2.0", "id": 1, "method": "shutdown"}
    receive(wire, {"method": "workspace/didChangeConfiguration", "params": {"settings": inner}})
    receive(wire, {"id": "x", "method": "longllama/explain", "params": {"id": inner}})
    await wire.until(lambda: wire.n_answers.get("x") == 1)
    assert "error" not in wire.raw["x"]


async def test_an_id_that_is_null_makes_no_request(wire, root):
    await wire.begin(root)
    item = {"uri": "untitled:a", "languageId": "python", "version": 1, "text": "x"}
    wire._send({"id": None, "method": "textDocument/didOpen", "params": {"textDocument": item}})
    assert wire.text_of("untitled:a") == "x"


async def test_an_answer_with_an_error_that_is_null_is_a_result(wire, root):
    wire.answers_with = {"error": None}
    wire.answers["workspace/configuration"] = [{"enable": False}]
    await wire.begin(root, can={"workspace": {"configuration": True}})
    assert wire.statuses[-1]["phase"] == "off"


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"3", b"null", b"[" * 100_000, b'{"id": {}}'])
async def test_nothing_that_is_received_does_harm(wire, root, body):
    await wire.begin(root)
    receive(wire, body)
    for value in ({"id": []}, {"id": [], "method": "shutdown"}, {"method": []}, {"id": 1.5}):
        receive(wire, value)
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
