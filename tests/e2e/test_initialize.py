"""The handshake, and how a server ends."""

import json
import signal
import subprocess
import sys

import pytest
from lsprotocol import types

from tests.deadline import DEADLINE_S
from tests.e2e.editor import capabilities, editing, is_running, soon, until_ended

TRANSPORTS = ["stdio", "tcp", "ws"]


@pytest.mark.parametrize("module", ["lsp_server.server", "lsp_server.__main__"])
def test_the_server_loads_neither_torch_nor_transformers(module):
    code = f"import {module}, sys; print({{'torch', 'transformers', 'numpy'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_capabilities(start, transport):
    editor = await start(transport=transport)
    can = editor.initialized_with.capabilities
    assert can.inline_completion_provider is not None
    assert can.completion_provider is not None
    assert can.text_document_sync.change is types.TextDocumentSyncKind.Incremental
    assert can.text_document_sync.open_close
    assert can.text_document_sync.save
    assert can.workspace.workspace_folders.supported
    assert can.workspace.workspace_folders.change_notifications
    assert "longllama.reindex" in can.execute_command_provider.commands
    assert editor.initialized_with.server_info.name == "longllama-lsp"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_the_clients_position_encoding_is_taken(start, encoding):
    editor = await start(can=capabilities(encoding=encoding))
    assert editor.initialized_with.capabilities.position_encoding == encoding


async def test_positions_are_utf_16_for_a_client_that_does_not_say(start):
    editor = await start(can=types.ClientCapabilities())
    assert editor.initialized_with.capabilities.position_encoding == "utf-16"


async def test_nothing_but_messages_is_sent_before_the_handshake_ends(start, settings):
    editor = await start(settings={**settings, "enable": "yes"})
    await editor.until(lambda: bool(editor.statuses))
    assert [kind for kind, _ in editor.heard[:2]] == ["message", "status"]
    assert "longllama.enable" in editor.messages.pop()


async def test_a_bad_setting_is_named_once_and_left_out(start, root, settings):
    (root / "a.py").write_text("x = 1\n")
    bad = {**settings, "completion": {"maxTokens": "many", "multiline": False}}
    editor = await start(settings=bad)
    await editor.until(lambda: bool(editor.messages))
    message = 'setting longllama.completion.maxTokens is "many": give a whole number, 0 or more.'
    assert editor.messages == [message]
    editor.messages.clear()
    assert (await editor.indexed())["phase"] == "ready"
    uri = editor.open("untitled:a", "x = ")
    assert await editor.suggestion(uri, 0, 4)


@pytest.mark.parametrize("options", [[1, 2], "tiny"])
async def test_options_that_are_no_object_are_named_too(start, settings, options):
    editor = await start(settings=options, can=capabilities(pull=True), section=settings)
    await editor.until(lambda: bool(editor.messages))
    found = f"setting longllama is {json.dumps(options)}: give an object of settings."
    assert editor.messages.pop() == found


async def test_options_may_stand_under_the_name_of_the_section(start, settings):
    editor = await start(settings={"longllama": settings, "engine": {"idleMs": 0}})
    assert (await editor.indexed())["engine"]["model"] == settings["model"]["path"]
    assert editor.messages == []


async def test_settings_of_the_client_itself_are_no_mistake(start, settings):
    own = {"server": {"command": ["longllama-lsp"]}, "trace": {"server": "off"}}
    await start(settings={**settings, **own})


async def test_the_configuration_is_pulled_before_the_model_is_loaded(start, settings):
    editor = await start(settings=None, can=capabilities(pull=True), section=settings)
    assert (await editor.indexed())["engine"]["model"] == settings["model"]["path"]


async def test_null_is_no_configuration(start, settings):
    editor = await start(settings=settings, can=capabilities(pull=True), section=None)
    editor.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    assert (await editor.indexed())["engine"]["model"] == settings["model"]["path"]


async def test_without_workspace_folders_there_is_still_completion(tmp_path):
    async with editing(tmp_path) as editor:
        status = await editor.indexed()
        assert status["phase"] == "ready"
        assert status["message"].startswith("no folder is open")
        uri = editor.open((tmp_path / "alone.py").as_uri(), "x = ")
        assert await editor.suggestion(uri, 0, 4)


async def test_the_status_can_be_asked_for_while_the_model_loads(start, model_settings):
    editor = await start(settings=model_settings)
    status = await editor.status()
    assert (status["phase"], status["engine"]) == ("loading", None)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_goes_away_without_a_word(start, transport):
    editor = await start(transport=transport)
    engine = (await editor.indexed())["engine_pid"]
    assert is_running(engine)
    if transport == "ws":
        await soon(editor.protocol.writer.close())
    else:
        editor.protocol.writer.close()
    assert await soon(editor._gone()) == 1
    await until_ended(engine)
    editor.check_log()


async def test_exit_without_shutdown(start):
    editor = await start()
    engine = (await editor.indexed())["engine_pid"]
    editor.exit(None)
    assert await soon(editor._gone()) == 1
    await until_ended(engine)
    editor.check_log()


async def test_shutdown_while_the_model_loads(start, model_settings):
    editor = await start(settings=model_settings)
    assert (await editor.status())["phase"] == "loading"
    await editor.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_an_engine_does_not_outlive_a_killed_server(start):
    editor = await start()
    engine = (await editor.indexed())["engine_pid"]
    editor.process.send_signal(signal.SIGKILL)
    await soon(editor._gone())
    await until_ended(engine)


async def test_two_servers_share_a_memory_on_disk(start, root, model_settings):
    (root / "a.py").write_text("def f(x):\n    return x\n")
    first = await start(settings=model_settings)
    second = await start(settings=model_settings)
    assert (await first.indexed())["files"]["segments_encoded"] <= 1
    assert (await second.indexed())["files"]["in_memory"] == 1
    uris = [editor.open("untitled:b", "f(") for editor in (first, second)]
    one = await first.suggestion(uris[0], 0, 2)
    assert one == await second.suggestion(uris[1], 0, 2) != ""
    third = await start(settings=model_settings)
    files = (await third.indexed())["files"]
    assert (files["segments_encoded"], files["segments_loaded"]) == (0, 1)


async def test_requests_of_before_a_malformed_one_and_after_are_answered(start):
    editor = await start()
    editor.protocol.writer.write(b"Content-Length: 9\r\n\r\n{not json")
    editor.expected_in_log = ("is no JSON, and was skipped",)
    assert (await editor.status())["kind"] == "Normal"
