"""Edits and documents that the protocol does not know: followed, or marked as out of step."""

import pytest

NOTEBOOKS = {"textDocument": {"inlineCompletion": {}}, "notebookDocument": {"synchronization": {}}}


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
    assert wire.text_of("untitled:a") == "one\nnew"
    change(wire, replacement((0, 1), (0, far), "!"))
    assert wire.text_of("untitled:a") == "o!\nnew"
    change(wire, replacement((far, far), (far, far), "."))
    assert wire.text_of("untitled:a") == "o!\nnew."
    change(wire, replacement((-1, -5), (0, -far), ">"))
    assert wire.text_of("untitled:a") == ">o!\nnew."
    assert wire.messages == []


@pytest.mark.parametrize("version", [None, "3", 2**40, -7, 0, {}, "x"])
async def test_a_change_with_any_version_is_applied(wire, root, version):
    await wire.begin(root)
    wire.open("untitled:a", "a")
    before = wire.server.session.documents.get("untitled:a").version
    change(wire, replacement((0, 1), (0, 1), "b"), version=version)
    assert wire.text_of("untitled:a") == "ab"
    assert wire.server.session.documents.get("untitled:a").version > before


async def test_unused_parts_of_a_change_may_be_wrong(wire, root):
    await wire.begin(root)
    wire.open("untitled:a", "a")
    change(wire, replacement((0, 0), (0, 1), "b", rangeLength="one", more=[]))
    assert wire.text_of("untitled:a") == "b"
    change(wire, {"range": None, "rangeLength": None, "text": "whole"})
    assert wire.text_of("untitled:a") == "whole"


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
    assert wire.text_of(uri) is None
    (message,) = wire.messages
    assert uri in message
    assert "params.contentChanges[1]" in message
    assert (await wire.inline(uri, 0, 0))["items"] == []
    assert (await wire.ask("longllama/explain"))["reason"] == "out_of_step"
    assert (await wire.inline(other, 0, 4))["items"]
    await wire.until(lambda: wire.engine.texts["lib.py"] == path.read_text())
    change(wire, replacement((0, 0), (0, 0), "a"), uri=uri)
    assert wire.text_of(uri) is None
    wire.open(uri, "live = 2\n")
    assert wire.text_of(uri) == "live = 2\n"
    assert (await wire.inline(uri, 1, 0))["items"]
    await wire.until(lambda: wire.engine.texts["lib.py"] == "live = 2\n")


async def test_a_change_to_the_whole_text_finds_a_document_again(wire, root):
    await wire.begin(root)
    uri = wire.open((root / "lib.py").as_uri(), "a")
    change(wire, None, uri=uri)
    change(wire, {"text": "whole = 1"}, replacement((0, 0), (0, 1), "W"), uri=uri)
    assert wire.text_of(uri) == "Whole = 1"
    assert wire.server.session.documents.get(uri).language == "python"
    await wire.until(lambda: wire.engine.texts.get("lib.py") == "Whole = 1")


async def test_a_document_opened_without_its_text_is_marked(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.open("untitled:a", "x = ")
    item = {"uri": "untitled:a", "languageId": "python", "version": 2, "text": None}
    wire.notify("textDocument/didOpen", textDocument=item)
    assert wire.text_of("untitled:a") is None
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
        assert wire.text_of("untitled:a") == "x"
        assert "items" in await wire.inline("untitled:a", 0, 1)
        wire.notify("textDocument/didClose", textDocument={"uri": "untitled:a"})
        assert wire.text_of("untitled:a") is None


async def test_a_notebook_that_cannot_be_followed_is_marked(wire, root):
    await wire.begin(root, can=NOTEBOOKS)
    await wire.indexed()
    uris = ["cell:1", "cell:2"]
    items = [{"uri": uri, "languageId": "python", "version": 1, "text": "x = "} for uri in uris]
    cells = [{"kind": 9, "document": uri} for uri in uris]
    book = {"uri": "file:///n.ipynb", "notebookType": None, "version": None, "cells": cells}
    wire.notify("notebookDocument/didOpen", notebookDocument=book, cellTextDocuments=items)
    assert wire.text_of("cell:2") == "x = "
    identifier = {"uri": "file:///n.ipynb", "version": 2}
    edit = {"document": {"uri": "cell:1", "version": None}, "changes": [{"text": "y = "}]}
    change = {"metadata": 3, "cells": {"textContent": [edit]}}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    assert wire.text_of("cell:1") == "y = "
    change = {"cells": {"structure": {"array": {"start": None, "deleteCount": 1}}}}
    wire.notify("notebookDocument/didChange", notebookDocument=identifier, change=change)
    assert [wire.text_of(uri) for uri in uris] == [None, None]
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
    assert wire.text_of("untitled:a") == "x"
