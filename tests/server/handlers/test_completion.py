"""Items of the completion popup, and items that a client shows."""

import pytest

POPUP_ONLY = {"textDocument": {}}


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


@pytest.mark.parametrize("event", ["didShowCompletion", "didPartiallyAcceptCompletion"])
async def test_what_clients_tell_of_a_shown_item_is_taken(wire, root, event):
    await wire.begin(root)
    wire.notify(f"textDocument/{event}", item={"insertText": "x"}, acceptedLength=1)
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
    assert wire.messages == []
