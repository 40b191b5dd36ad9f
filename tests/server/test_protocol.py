"""The protocol: order of messages, tokens, settings, folders, notebooks, popups, traces, logs."""

import asyncio
from contextlib import suppress

import pytest
from lsprotocol import types

from longllama_code.model_sources.default_model import AUTO, chosen_model
from lsp_server.documents.notebooks import SEPARATOR
from tests.server.wire import RpcError, Wire

POPUP_ONLY = {"textDocument": {}}
DYNAMIC = {
    "textDocument": {"inlineCompletion": {}},
    "workspace": {
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "fileOperations": {"didCreate": True, "didRename": True, "didDelete": True},
        "workspaceFolders": True,
    },
    "notebookDocument": {"synchronization": {}},
}


# Order of messages.


async def test_nothing_is_done_before_the_handshake(wire):
    for method in ("longllama/status", "longllama/memory", "shutdown"):
        with pytest.raises(RpcError) as caught:
            await wire.ask(method)
        assert caught.value.code == -32002
    wire.open("untitled:a", "x = ")
    assert len(wire.server.session.documents) == 0
    assert wire.heard == []


async def test_a_second_handshake_is_refused(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError, match="initialized already"):
        await wire.ask("initialize", processId=None, rootUri=None, capabilities={})


async def test_after_shutdown_everything_is_refused(wire, root):
    await wire.begin(root)
    await wire.ask("shutdown")
    with pytest.raises(RpcError, match="shut down") as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32600


async def test_shutdown_answers_what_runs(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    request = asyncio.ensure_future(wire.inline(wire.open("untitled:a", "x = "), 0, 4))
    await wire.until(lambda: wire.engine.asked)
    await wire.ask("shutdown")
    assert await request == {"items": []}


async def test_an_unknown_method_and_command_are_errors(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/nothing")
    assert caught.value.code == -32601
    with pytest.raises(RpcError) as caught:
        await wire.command("longllama.nothing")
    assert caught.value.code == -32602


@pytest.mark.parametrize("params", [{}, {"textDocument": 3}, {"position": None}, [1], None])
async def test_a_request_that_cannot_be_read_has_an_answer(wire, root, params):
    await wire.begin(root)
    with pytest.raises(RpcError) as caught:
        await wire.ask_as_is("textDocument/inlineCompletion", params)
    assert caught.value.code == -32602


async def test_a_notification_sent_as_a_request_has_an_answer(wire, root):
    await wire.begin(root)
    with pytest.raises(RpcError, match="notification") as caught:
        await wire.ask("textDocument/didClose", textDocument={"uri": "untitled:a"})
    assert caught.value.code == -32600


# Tokens.


@pytest.mark.parametrize("options", [None, {}, {"token": "wrong"}, {"token": 3}, [1], "token"])
async def test_a_client_without_the_token_is_refused(monkeypatch, options):
    wire = Wire(monkeypatch, token="a token of the server")
    with pytest.raises(RpcError, match=r"initializationOptions\.token is missing or wrong"):
        await wire.ask(
            "initialize",
            processId=None,
            rootUri=None,
            capabilities={},
            initializationOptions=options,
        )
    assert wire.server.stop_event.is_set()
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32002


async def test_a_client_with_the_token_is_served(monkeypatch, root):
    wire = Wire(monkeypatch, token="a token of the server")
    await wire.begin(root, options={"token": "a token of the server", "enable": False})
    assert (await wire.ask("longllama/status"))["phase"] == "off"
    assert wire.messages == []
    await wire.end()


# Registration, settings, folders.


async def test_wishes_are_registered_where_the_client_takes_them(wire, root):
    await wire.begin(root, can=DYNAMIC)
    (params,) = wire.said("client/registerCapability")
    wishes = {wish["method"]: wish["registerOptions"] for wish in params["registrations"]}
    assert wishes == {
        "workspace/didChangeConfiguration": {"section": "longllama"},
        "workspace/didChangeWatchedFiles": {"watchers": [{"globPattern": "**/*"}]},
    }


async def test_nothing_is_registered_where_it_is_not(wire, root):
    await wire.begin(root)
    assert wire.said("client/registerCapability") == []


async def test_file_operations_are_advertised_to_clients_that_have_them(wire, root):
    can = (await wire.begin(root, can=DYNAMIC))["capabilities"]["workspace"]["fileOperations"]
    assert set(can) == {"didCreate", "didRename", "didDelete"}


async def test_files_renamed_and_deleted_in_the_editor(wire, root):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    # As of a system that tells nothing of its files: the client alone does.
    await asyncio.to_thread(wire.server.session.folders._watcher.stop)
    old, new = root / "lib.py", root / "other.py"
    old.rename(new)
    files = [{"oldUri": old.as_uri(), "newUri": new.as_uri()}]
    wire.notify("workspace/didRenameFiles", files=files)
    await wire.until(lambda: set(wire.engine.texts) == {"other.py"})
    new.unlink()
    wire.notify("workspace/didDeleteFiles", files=[{"uri": new.as_uri()}])
    await wire.until(lambda: not wire.engine.texts)
    old.write_text("x = 1\n")
    wire.notify("workspace/didCreateFiles", files=[{"uri": old.as_uri()}])
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})
    wire.server.session.folders._watcher = None


async def test_workspace_folders_come_and_go(wire, root, tmp_path):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.py").write_text("y = 2\n")
    folder = {"uri": other.as_uri(), "name": "other"}
    event = {"added": [folder], "removed": []}
    wire.notify("workspace/didChangeWorkspaceFolders", event=event)
    await wire.until(lambda: set(wire.engine.texts) == {"ws/lib.py", "other/b.py"})
    event = {"added": [], "removed": [folder]}
    wire.notify("workspace/didChangeWorkspaceFolders", event=event)
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})


async def test_a_change_that_both_tell_of_is_taken_in_once(wire, root):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    path = root / "lib.py"
    n_before = wire.engine.n_remembered
    path.write_text("changed = True\n")
    await wire.until(lambda: wire.engine.texts["lib.py"] == "changed = True\n")
    assert wire.engine.n_remembered == n_before + 1
    changes = [{"uri": path.as_uri(), "type": types.FileChangeType.Changed.value}]
    for _ in range(3):
        wire.notify("workspace/didChangeWatchedFiles", changes=changes)
        wire.notify("textDocument/didSave", textDocument={"uri": path.as_uri()})
        await wire.indexed()
    assert wire.engine.n_remembered == n_before + 1


async def test_limits_and_patterns_change_without_a_new_engine(wire, root):
    (root / "gen").mkdir()
    (root / "gen" / "a.py").write_text("x = 1\n")
    (root / "large.py").write_text("y = 2\n" * 100)
    await wire.begin(root)
    await wire.indexed()
    engine = wire.engine
    assert set(engine.texts) == {"lib.py", "gen/a.py", "large.py"}

    def configure(**memory):
        wire.notify("workspace/didChangeConfiguration", settings={"longllama": {"memory": memory}})

    configure(exclude=["gen/"])
    await wire.until(lambda: set(engine.texts) == {"lib.py", "large.py"})
    configure(maxFileBytes=100)
    await wire.until(lambda: set(engine.texts) == {"lib.py", "gen/a.py"})
    configure(maxTokens=48)
    await wire.until(lambda: len(engine.texts) == 1 and len("".join(engine.texts.values())) <= 48)
    configure()
    await wire.until(lambda: set(engine.texts) == {"lib.py", "gen/a.py", "large.py"})
    assert wire.engine is engine


async def test_another_model_needs_another_engine(wire, root):
    await wire.begin(root)
    engine = wire.engine
    settings = {"longllama": {"model": {"path": "tiny"}}}
    wire.notify("workspace/didChangeConfiguration", settings=settings)
    await wire.until(lambda: wire.engine is not engine)
    assert wire.engine.options.engine.model == "tiny"


async def test_the_repositorys_own_settings_are_followed_as_they_change(wire, root):
    (root / "pyproject.toml").write_text('[tool.longllama]\nmemory.exclude = ["*.toml"]\n')
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    (root / "pyproject.toml").write_text("[tool.longllama]\nenable = false\n")
    await wire.until(lambda: wire.statuses[-1]["phase"] == "off")
    (root / "pyproject.toml").write_text('[tool.longllama]\nmodel.path = "/evil"\n')
    identifier = {"uri": (root / "pyproject.toml").as_uri()}
    wire.notify("textDocument/didSave", textDocument=identifier)  # off, nothing is watched
    await wire.until(lambda: wire.messages)
    assert "a repository's pyproject.toml may not set it" in wire.messages[-1]
    await wire.indexed()
    assert wire.engine.options.engine.model == chosen_model(AUTO).name


# Notebooks.


def notebook(cells):
    cell_uris = [f"vscode-notebook-cell:/n.ipynb#{number}" for number in range(len(cells))]
    return {
        "notebookDocument": {
            "uri": "file:///n.ipynb",
            "notebookType": "jupyter-notebook",
            "version": 1,
            "cells": [{"kind": 2, "document": uri} for uri in cell_uris],
        },
        "cellTextDocuments": [
            {"uri": uri, "languageId": language, "version": 1, "text": text}
            for uri, (language, text) in zip(cell_uris, cells, strict=True)
        ],
    }


CELLS = [("python", "import lib"), ("markdown", "# Title"), ("python", "x = ")]
LAST = "vscode-notebook-cell:/n.ipynb#2"


async def test_cells_are_documents_with_the_cells_before_them_as_context(wire, root):
    can = (await wire.begin(root, can=DYNAMIC))["capabilities"]
    assert can["notebookDocumentSync"]["notebookSelector"]
    await wire.indexed()
    wire.notify("notebookDocument/didOpen", **notebook(CELLS))
    (item,) = (await wire.inline(LAST, 0, 4))["items"]
    assert wire.engine.asked[-1].prefix == f"import lib{SEPARATOR}x = "
    at = {"line": 0, "character": 4}
    assert item["range"] == {"start": at, "end": at}


async def test_a_key_in_a_cell_while_a_request_runs_does_not_ask_anew(wire, root):
    """The engine says "text()": its answer goes on behind the key."""
    options = {"trigger": {"debounceMs": 0}, "completion": {"ahead": False}}
    await wire.begin(root, can=DYNAMIC, options=options)
    await wire.indexed()
    wire.notify("notebookDocument/didOpen", **notebook(CELLS))
    wire.engine.may_answer.clear()
    first = wire.inline(LAST, 0, 4, kind=2)
    await wire.until(lambda: len(wire.engine.asked) == 1)
    at = {"line": 0, "character": 4}
    edit = {
        "document": {"uri": LAST, "version": 2},
        "changes": [{"range": {"start": at, "end": at}, "text": "t"}],
    }
    identifier = {"uri": "file:///n.ipynb", "version": 2}
    change = {"cells": {"textContent": [edit]}}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    wire.notify("$/cancelRequest", id=wire.last_id)
    with suppress(RpcError):
        await first
    second = wire.inline(LAST, 0, 5, kind=2)
    await asyncio.sleep(0)
    wire.engine.may_answer.set()
    (item,) = (await second)["items"]
    assert item["insertText"] == "ext()"
    assert len(wire.engine.asked) == 1
    assert wire.engine.n_cancelled == 0


async def test_cells_change_come_and_go(wire, root):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    wire.notify("notebookDocument/didOpen", **notebook(CELLS))
    new = "vscode-notebook-cell:/n.ipynb#new"
    first = CELLS[0][1]
    change = {
        "cells": {
            "structure": {
                "array": {"start": 1, "deleteCount": 1, "cells": [{"kind": 2, "document": new}]},
                "didOpen": [{"uri": new, "languageId": "python", "version": 1, "text": "b = 2"}],
                "didClose": [{"uri": "vscode-notebook-cell:/n.ipynb#1"}],
            },
            "textContent": [
                {
                    "document": {"uri": "vscode-notebook-cell:/n.ipynb#0", "version": 2},
                    "changes": [{"text": "import other"}],
                }
            ],
        }
    }
    identifier = {"uri": "file:///n.ipynb", "version": 2}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    await wire.inline(LAST, 0, 4)
    expected = SEPARATOR.join(["import other", "b = 2", "x = "])
    assert wire.engine.asked[-1].prefix == expected != first
    cells = [{"uri": uri} for uri in (LAST, new)]
    identifier = {"uri": "file:///n.ipynb"}
    wire.notify("notebookDocument/didSave", notebookDocument=identifier)
    wire.notify("notebookDocument/didClose", notebookDocument=identifier, cellTextDocuments=cells)
    assert (await wire.inline(LAST, 0, 4))["items"] == []


# Popups, traces, unknown notifications, logs.


async def test_a_popup_item_says_where_it_comes_from_once_it_is_resolved(wire, root):
    can = (await wire.begin(root, can=POPUP_ONLY))["capabilities"]
    assert can["completionProvider"]["resolveProvider"]
    await wire.indexed()
    uri = wire.open("untitled:a", "x = te")
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 6}}
    (item,) = (await wire.ask("textDocument/completion", **place))["items"]
    assert item["documentation"] == "tetext()"
    resolved = await wire.ask("completionItem/resolve", **item)
    assert resolved["documentation"].startswith(
        "tetext()\n\nThe suggestion `text()` came from lib.py:1-2"
    )
    other = {"label": "of another server"}
    assert await wire.ask("completionItem/resolve", **other) == other


async def test_selected_completion_info_is_what_the_text_begins_with(wire, root):
    await wire.begin(root)
    await wire.indexed()
    uri = wire.open("untitled:a", "x = le")
    place = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 6}}
    selected = {"range": place, "text": "left"}
    (item,) = (await wire.inline(uri, 0, 6, kind=2, selected=selected))["items"]
    assert wire.engine.asked[-1].prefix == "x = left"
    assert item["insertText"] == "lefttext()"
    assert item["range"] == place


async def test_traces_tell_how_requests_end_and_no_text(wire, root):
    await wire.begin(root, trace="messages")
    await wire.indexed()
    uri = wire.open("untitled:a", "SECRETWORD = ")
    await wire.inline(uri, 0, 13)
    wire.notify("$/setTrace", value="verbose")
    await wire.inline(uri, 0, 13)
    wire.notify("$/setTrace", value="off")
    await wire.inline(uri, 0, 13)
    first, second = wire.said("$/logTrace")
    assert first["message"].endswith(": 6 characters")
    assert "verbose" not in first
    assert "'generated_tokens': 4" in second["verbose"]
    assert "SECRETWORD" not in str((first, second))


@pytest.mark.parametrize("event", ["didShowCompletion", "didPartiallyAcceptCompletion"])
async def test_what_clients_tell_of_a_shown_item_is_taken(wire, root, event):
    await wire.begin(root)
    wire.notify(f"textDocument/{event}", item={"insertText": "x"}, acceptedLength=1)
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
    assert wire.messages == []


async def test_broken_messages_put_no_source_code_into_the_log(wire, root, caplog):
    await wire.begin(root)
    mark = "def very_private_function(): pass"
    broken = {"uri": "untitled:a", "languageId": "python", "version": "no number", "text": mark}
    for params in ({"textDocument": broken}, {"textDocument": {"text": mark}}, {"text": mark}):
        wire.notify("textDocument/didOpen", **params)
    wire.notify(
        "textDocument/didChange",
        textDocument={"uri": "untitled:b", "version": 2},
        contentChanges=[{"range": None, "text": mark}],
    )
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith("lsp_server")
    ]
    assert ours
    assert mark not in "\n".join(ours)
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"


async def test_a_handler_that_fails_is_answered_and_its_place_logged(
    wire, root, monkeypatch, caplog
):
    await wire.begin(root)

    def fail():
        raise ZeroDivisionError("def very_private_function(): pass")

    monkeypatch.setattr(wire.server.session, "status", fail)
    with pytest.raises(RpcError) as caught:
        await wire.ask("longllama/status")
    assert caught.value.code == -32603
    monkeypatch.undo()
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith("lsp_server")
    ]
    (line,) = [text for text in ours if "ZeroDivisionError" in text]
    assert "test_protocol.py:" in line
    assert "very_private" not in line
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
