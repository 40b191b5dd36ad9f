"""What clients send and the protocol does not know is left out, and everything else works."""

import asyncio
import json
import logging

import pytest
from lsprotocol import types

from tests.server.wire import RpcError

GHOST = {"inlineCompletion": {}}
UNKNOWN_CAPABILITIES = {
    "workspace.symbol.symbolKind.valueSet[1]": {
        "workspace": {"symbol": {"symbolKind": {"valueSet": [1, 27, 2]}}}
    },
    "workspace.symbol.tagSupport.valueSet[0]": {
        "workspace": {"symbol": {"tagSupport": {"valueSet": [2, 1]}}}
    },
    "textDocument.documentSymbol.symbolKind.valueSet[0]": {
        "textDocument": {"documentSymbol": {"symbolKind": {"valueSet": [99]}}}
    },
    "textDocument.completion.completionItem.insertTextModeSupport.valueSet[2]": {
        "textDocument": {
            "completion": {"completionItem": {"insertTextModeSupport": {"valueSet": [1, 2, 3]}}}
        }
    },
    "textDocument.completion.completionItem.tagSupport": {
        "textDocument": {"completion": {"completionItem": {"tagSupport": True}}}
    },
    "textDocument.publishDiagnostics.tagSupport.valueSet[1]": {
        "textDocument": {"publishDiagnostics": {"tagSupport": {"valueSet": [1, 3, 2]}}}
    },
    "textDocument.completion.dynamicRegistration": {
        "textDocument": {"completion": {"dynamicRegistration": "yes"}}
    },
    "workspace.workspaceEdit.resourceOperations[1]": {
        "workspace": {"workspaceEdit": {"resourceOperations": ["create", "copy"]}}
    },
    "workspace.workspaceEdit.failureHandling": {
        "workspace": {"workspaceEdit": {"failureHandling": "pray"}}
    },
    "general.positionEncodings[0]": {"general": {"positionEncodings": [{"a": 1}, "utf-8"]}},
    "general.staleRequestSupport": {"general": {"staleRequestSupport": {"cancel": True}}},
    "workspace.fileOperations": {"workspace": {"fileOperations": 3}},
    "window": {"window": 3},
}


def logged(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("lsp_")]


@pytest.mark.parametrize("path", UNKNOWN_CAPABILITIES)
async def test_an_unknown_capability_is_left_out_and_named_once(wire, root, caplog, path):
    can = json.loads(json.dumps(UNKNOWN_CAPABILITIES[path]))
    can.setdefault("textDocument", {}).update(GHOST)
    await wire.begin(root, can=can)
    uri = wire.open("untitled:a", "x = ")
    await wire.indexed()
    assert (await wire.inline(uri, 0, 4))["items"]
    lines = [line for line in logged(caplog) if "left out" in line]
    assert [line.partition(" was not")[0] for line in lines] == [
        f"initialize: params.capabilities.{path}"
    ]


async def test_what_is_known_beside_an_unknown_value_counts(wire, root):
    can = {
        "general": {"positionEncodings": ["utf-7", 3, "utf-8"]},
        "textDocument": {**GHOST, "completion": {"completionItem": {"tagSupport": 3}}},
        "workspace": {"configuration": True, "symbol": {"symbolKind": {"valueSet": [1, 1000]}}},
    }
    result = await wire.begin(root, can=can)
    assert result["capabilities"]["positionEncoding"] == "utf-8"
    kinds = wire.server.client_capabilities.workspace.symbol.symbol_kind.value_set
    assert kinds == [types.SymbolKind.File]
    assert wire.said("workspace/configuration")


@pytest.mark.parametrize("can", [[], 3, "x", None, {"textDocument": None, "workspace": []}])
async def test_capabilities_of_any_kind_are_accepted(wire, root, can):
    await wire.ask_as_is("initialize", {"capabilities": can, "rootUri": root.as_uri()})
    wire.notify("initialized")
    assert (await wire.indexed())["phase"] == "ready"
    assert wire.engine.texts


@pytest.mark.parametrize("trace", ["compact", "", 3, None, [], {"value": "verbose"}])
async def test_an_unknown_trace_is_off(wire, root, trace):
    await wire.begin(root, trace=trace)
    assert wire.server.protocol.trace is types.TraceValue.Off
    wire.notify("$/setTrace", value="verbose")
    wire.notify("$/setTrace", value=trace)
    assert wire.server.protocol.trace is types.TraceValue.Verbose


@pytest.mark.parametrize("params", ["missing", None, []])
async def test_a_server_is_ready_after_initialized_without_params(wire, root, params):
    await wire.ask("initialize", capabilities={}, rootUri=root.as_uri())
    wire._send({"method": "initialized"} | ({} if params == "missing" else {"params": params}))
    assert (await wire.indexed())["phase"] == "ready"


OURS = ("status", "memory", "explain", "waitUntilIndexed", "diagnose")


@pytest.mark.parametrize("method", OURS)
async def test_our_requests_need_no_params(wire, root, method):
    await wire.begin(root)
    for message in ({}, {"params": None}, {"params": []}, {"params": 3}, {"extra": 1}):
        request = wire.ask_as_is(f"longllama/{method}", {})
        await request
        msg_id = f"without {json.dumps(message)}"
        wire._send({"id": msg_id, "method": f"longllama/{method}", **message})
        await wire.until(lambda msg_id=msg_id: wire.n_answers.get(msg_id) == 1)
        assert "error" not in wire.raw[msg_id]


CONTEXTS = [
    {},
    {"context": None},
    {"context": {}},
    {"context": {"triggerKind": 0}},
    {"context": {"triggerKind": 3}},
    {"context": {"triggerKind": None}},
    {"context": {"triggerKind": "Invoked"}},
    {"context": {"triggerKind": 1, "selectedCompletionInfo": {"text": "x"}}},
    {"context": {"triggerKind": 1, "selectedCompletionInfo": None}},
    {"context": 3},
]


@pytest.mark.parametrize("context", CONTEXTS)
async def test_ghost_text_needs_no_valid_context(wire, root, context):
    await wire.begin(root)
    await wire.indexed()
    place = {
        "textDocument": {"uri": wire.open("untitled:a", "x = ")},
        "position": {"line": 0, "character": 4},
    }
    answer = await wire.ask("textDocument/inlineCompletion", **place, **context)
    assert answer["items"][0]["insertText"] == "text()"


async def test_a_refusal_names_what_was_not_understood(wire, root):
    await wire.begin(root)
    place = {"textDocument": {"uri": "untitled:a"}, "position": {"line": None, "character": 4}}
    with pytest.raises(RpcError, match=r"params\.position\.line is null") as caught:
        await wire.ask("textDocument/inlineCompletion", **place)
    assert caught.value.code == -32602


# Texts.


def text_of(wire, uri="untitled:a"):
    document = wire.server.session.documents.get(uri)
    return None if document is None else document.text


def change(wire, *changes, uri="untitled:a", version=2):
    identifier = {"uri": uri, "version": version}
    wire.notify("textDocument/didChange", textDocument=identifier, contentChanges=list(changes))


def replacement(start, end, text="new", **more):
    places = (dict(zip(("line", "character"), place, strict=True)) for place in (start, end))
    return {"range": dict(zip(("start", "end"), places, strict=True)), "text": text, **more}


FAR = [2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1, 2**63, 2**64, 10**5000, 1e300, float("inf")]


@pytest.mark.parametrize("far", FAR, ids=lambda far: f"{far:.3g}" if far < 1e300 else "huge")
async def test_a_change_up_to_beyond_the_end_is_clamped(wire, root, far):
    await wire.begin(root)
    wire.open("untitled:a", "one\ntwo\n")
    change(wire, replacement((1, 0), (far, 0)))
    assert text_of(wire) == "one\nnew"
    change(wire, replacement((0, 1), (0, far), "!"))
    assert text_of(wire) == "o!\nnew"
    change(wire, replacement((far, far), (far, far), "."))
    assert text_of(wire) == "o!\nnew."
    change(wire, replacement((-1, -5), (0, -far), ">"))
    assert text_of(wire) == ">o!\nnew."
    assert wire.messages == []


@pytest.mark.parametrize("version", [None, "3", 2**40, -7, 0, {}, "x"])
async def test_a_change_with_any_version_is_applied(wire, root, version):
    await wire.begin(root)
    wire.open("untitled:a", "a")
    before = wire.server.session.documents.get("untitled:a").version
    change(wire, replacement((0, 1), (0, 1), "b"), version=version)
    assert text_of(wire) == "ab"
    assert wire.server.session.documents.get("untitled:a").version > before


async def test_unused_parts_of_a_change_may_be_wrong(wire, root):
    await wire.begin(root)
    wire.open("untitled:a", "a")
    change(wire, replacement((0, 0), (0, 1), "b", rangeLength="one", more=[]))
    assert text_of(wire) == "b"
    change(wire, {"range": None, "rangeLength": None, "text": "whole"})
    assert text_of(wire) == "whole"


LOSING = [
    replacement((None, 0), (0, 1)),
    replacement((0, 0), ("x", 1)),
    {"range": {"start": {"line": 0, "character": 0}}, "text": "x"},
    {"range": [], "text": "x"},
    {"text": None},
    {"text": ["x"]},
    {},
    None,
    3,
]


@pytest.mark.parametrize("broken", LOSING, ids=range(len(LOSING)))
async def test_a_document_that_cannot_be_followed_is_marked_until_it_is_opened(wire, root, broken):
    await wire.begin(root)
    await wire.indexed()
    path = root / "lib.py"
    uri = wire.open(path.as_uri(), "live = 1\n")
    other = wire.open("untitled:b", "y = ")
    await wire.until(lambda: wire.engine.texts["lib.py"] == "live = 1\n")
    change(wire, replacement((0, 0), (0, 0), "a"), broken, uri=uri)
    assert text_of(wire, uri) is None
    (message,) = wire.messages
    assert uri in message
    assert "params.contentChanges[1]" in message
    assert (await wire.inline(uri, 0, 0))["items"] == []
    assert (await wire.ask("longllama/explain"))["reason"] == "out_of_step"
    assert (await wire.inline(other, 0, 4))["items"]
    await wire.until(lambda: wire.engine.texts["lib.py"] == path.read_text())
    change(wire, replacement((0, 0), (0, 0), "a"), uri=uri)
    assert text_of(wire, uri) is None
    wire.open(uri, "live = 2\n")
    assert text_of(wire, uri) == "live = 2\n"
    assert (await wire.inline(uri, 1, 0))["items"]
    await wire.until(lambda: wire.engine.texts["lib.py"] == "live = 2\n")


async def test_a_change_to_the_whole_text_finds_a_document_again(wire, root):
    await wire.begin(root)
    uri = wire.open((root / "lib.py").as_uri(), "a")
    change(wire, None, uri=uri)
    change(wire, {"text": "whole = 1"}, replacement((0, 0), (0, 1), "W"), uri=uri)
    assert text_of(wire, uri) == "Whole = 1"
    assert wire.server.session.documents.get(uri).language == "python"
    await wire.until(lambda: wire.engine.texts.get("lib.py") == "Whole = 1")


async def test_a_document_opened_without_its_text_is_marked(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.open("untitled:a", "x = ")
    item = {"uri": "untitled:a", "languageId": "python", "version": 2, "text": None}
    wire.notify("textDocument/didOpen", textDocument=item)
    assert text_of(wire) is None
    assert "params.textDocument.text" in wire.messages[0]
    assert (await wire.inline("untitled:a", 0, 0))["items"] == []


async def test_a_document_is_opened_whatever_its_language_and_version_are(wire, root):
    await wire.begin(root)
    for item in (
        {"languageId": None},
        {"languageId": 5},
        {"version": None},
        {"version": 2**60},
        {},
    ):
        wire.notify("textDocument/didOpen", textDocument={"uri": "untitled:a", "text": "x"} | item)
        assert text_of(wire) == "x"
        assert "items" in await wire.inline("untitled:a", 0, 1)
        wire.notify("textDocument/didClose", textDocument={"uri": "untitled:a"})
        assert text_of(wire) is None


async def test_a_notebook_that_cannot_be_followed_is_marked(wire, root):
    await wire.begin(root, can={"textDocument": GHOST, "notebookDocument": {"synchronization": {}}})
    await wire.indexed()
    uris = ["cell:1", "cell:2"]
    items = [{"uri": uri, "languageId": "python", "version": 1, "text": "x = "} for uri in uris]
    cells = [{"kind": 9, "document": uri} for uri in uris]
    book = {"uri": "file:///n.ipynb", "notebookType": None, "version": None, "cells": cells}
    wire.notify("notebookDocument/didOpen", notebookDocument=book, cellTextDocuments=items)
    assert text_of(wire, "cell:2") == "x = "
    identifier = {"uri": "file:///n.ipynb", "version": 2}
    edit = {"document": {"uri": "cell:1", "version": None}, "changes": [{"text": "y = "}]}
    change = {"metadata": 3, "cells": {"textContent": [edit]}}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    assert text_of(wire, "cell:1") == "y = "
    change = {"cells": {"structure": {"array": {"start": None, "deleteCount": 1}}}}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    assert [text_of(wire, uri) for uri in uris] == [None, None]
    assert wire.messages
    assert (await wire.inline("cell:2", 0, 4))["items"] == []
    wire.notify("notebookDocument/didClose", notebookDocument=identifier, cellTextDocuments=items)
    wire.notify("notebookDocument/didOpen", notebookDocument=book, cellTextDocuments=items)
    assert (await wire.inline("cell:2", 0, 4))["items"]


async def test_a_message_about_a_notebook_loses_no_other_document(wire, root):
    await wire.begin(root)
    uri = wire.open("untitled:a", "x")
    for method in ("didOpen", "didChange"):
        wire.notify(f"notebookDocument/{method}", textDocument={"uri": uri})
    assert text_of(wire) == "x"


# Lists of which one element is wrong, and messages of JSON-RPC that are not quite right.


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
    assert text_of(wire) == "x"


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


async def test_a_place_is_logged_once_and_its_text_never(wire, root, caplog):
    caplog.set_level(logging.DEBUG)
    await wire.begin(root)
    caplog.clear()
    mark = "very_private"
    for _ in range(3):
        item = {"uri": "untitled:a", "languageId": [mark], "version": mark, "text": mark}
        wire.notify("textDocument/didOpen", textDocument=item)
    lines = [line for line in logged(caplog) if "left out" in line]
    assert len(lines) == 2
    assert mark not in "\n".join(logged(caplog))
