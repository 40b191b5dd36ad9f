"""What clients send and the protocol does not know is left out, and everything else works."""

import json
import logging

import pytest
from lsprotocol import types

from tests.server.logged import logged
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
