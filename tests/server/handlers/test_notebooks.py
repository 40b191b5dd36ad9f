"""Cells of notebooks: documents, with the cells before them as context."""

import asyncio
from contextlib import suppress

from lsp_server.documents.notebooks import SEPARATOR
from tests.deadline import DEADLINE_S
from tests.server.wire import RpcError

NOTEBOOKS = {"textDocument": {"inlineCompletion": {}}, "notebookDocument": {"synchronization": {}}}


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
    can = (await wire.begin(root, can=NOTEBOOKS))["capabilities"]
    assert can["notebookDocumentSync"]["notebookSelector"]
    await wire.indexed()
    wire.notify("notebookDocument/didOpen", **notebook(CELLS))
    (item,) = (await wire.inline(LAST, 0, 4))["items"]
    assert wire.engine.asked[-1].prefix == f"import lib{SEPARATOR}x = "
    at = {"line": 0, "character": 4}
    assert item["range"] == {"start": at, "end": at}


async def test_a_key_in_a_cell_while_a_request_runs_does_not_ask_anew(wire, root, monkeypatch):
    """The engine says "text()": its answer goes on behind the key."""
    for limit in ("pending_answer.GRACE_S", "suggester.JOIN_S"):  # a slow machine ends neither
        monkeypatch.setattr(f"lsp_server.suggestions.{limit}", DEADLINE_S)
    options = {"trigger": {"debounceMs": 0}, "completion": {"ahead": False}}
    await wire.begin(root, can=NOTEBOOKS, options=options)
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
    await wire.begin(root, can=NOTEBOOKS)
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
