"""Where nothing is suggested does not depend on how a document is named."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.suggestions.filters import FilePlace, refuse_file

TEXT = "x = "


async def reason(wire, uri):
    """Return why there is no suggestion at the end of an open document; None if there is one."""
    items = (await wire.inline(uri, 0, len(TEXT)))["items"]
    why = (await wire.ask("longllama/status"))["last_reason"]
    assert (why is None) == bool(items)
    return why


async def reason_in(wire, uri):
    wire.open(uri, TEXT)
    return await reason(wire, uri)


def notebook(uri, *cells, kind="jupyter-notebook"):
    return {
        "notebookDocument": {
            "uri": uri,
            "notebookType": kind,
            "version": 1,
            "cells": [{"kind": 2, "document": cell} for cell in cells],
        },
        "cellTextDocuments": [
            {"uri": cell, "languageId": "python", "version": 1, "text": TEXT} for cell in cells
        ],
    }


def as_git(path):
    return f"git:{path}.git?{quote(json.dumps({'path': str(path), 'ref': '~'}))}"


SCHEMES = {
    "file": lambda path: path.as_uri(),
    "untitled": lambda path: f"untitled:{path}",
    "vscode-remote": lambda path: f"vscode-remote://ssh-remote+host{path}",
    "git": as_git,
    "git with a query": lambda path: f"git:{path}?q",
    "fugitive": lambda path: f"fugitive://{str(path).replace('/ws/', '/ws/.git//0/')}",
    "gitsigns": lambda path: f"gitsigns://{str(path).replace('/ws/', '/ws/.git//HEAD:')}",
    "cell": lambda path: f"vscode-notebook-cell:{path}#W0sZmlsZQ%3D%3D",
    "unheard of": lambda path: f"x-y.z+1://authority:80{quote(str(path))}?a=b#c",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".aws/config", "secret_file"),
        ("deploy/server.pem", "secret_file"),
        ("secrets.json", "secret_file"),
        ("gen/a.py", "glob_disabled"),
        ("gen/deep/a.py", "glob_disabled"),
        ("src/a.py", None),
    ],
)
async def test_every_scheme_is_judged_by_its_path(wire, root, scheme, name, why):
    await wire.begin(root, options={"disabledGlobs": ["gen/**"], "trigger": {"debounceMs": 0}})
    await wire.indexed()
    assert await reason_in(wire, SCHEMES[scheme](root / name)) == why
    assert len(wire.engine.asked) == (why is None)


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("untitled:secrets.json", "secret_file"),
        ("untitled:Untitled-1", None),
        ("untitled:C:\\Users\\me\\.aws\\config", "secret_file"),
        ("file:///C%3A/Users/me/.ssh/config", "secret_file"),
        ("vscode-remote://host/home/me/.aws/config", "secret_file"),
        ("vscode-remote://host/home/me/ws/gen/a.py", "glob_disabled"),
        ("vscode-remote://host/home/me/ws/src/a.py", None),
    ],
)
async def test_outside_of_all_folders(wire, root, uri, why):
    await wire.begin(root, options={"disabledGlobs": ["gen/**"]})
    await wire.indexed()
    assert await reason_in(wire, uri) == why


async def test_globs_are_relative_to_each_of_several_folders(wire, root):
    other = root.parent / "other"
    (other / "gen").mkdir(parents=True)
    await wire.begin(root, other, options={"disabledGlobs": ["gen/**", "/top.py"]})
    await wire.indexed()
    for folder in (root, other):
        assert await reason_in(wire, (folder / "gen" / "a.py").as_uri()) == "glob_disabled"
        assert await reason_in(wire, (folder / "top.py").as_uri()) == "glob_disabled"
        assert await reason_in(wire, (folder / "src" / "gen" / "a.py").as_uri()) is None
        assert await reason_in(wire, (folder / "src" / "top.py").as_uri()) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.ipynb", "glob_disabled"),
        ("private/a.md", "glob_disabled"),
        ("secrets.json", "secret_file"),
        ("open/a.md", None),
    ],
)
@pytest.mark.parametrize("cell", ["cell:1", "vscode-notebook-cell:{}#W0", "untitled:x"])
async def test_a_notebook_decides_for_its_cells(wire, root, name, why, cell):
    await wire.begin(root, options={"disabledGlobs": ["*.ipynb", "private/"]})
    await wire.indexed()
    uri = cell.format(root / name)
    wire.notify("notebookDocument/didOpen", **notebook((root / name).as_uri(), uri))
    assert await reason(wire, uri) == why


async def test_a_cell_that_is_added_later(wire, root):
    await wire.begin(root, options={"disabledGlobs": ["private/"]})
    await wire.indexed()
    uri = (root / "private" / "a.ipynb").as_uri()
    wire.notify("notebookDocument/didOpen", **notebook(uri))
    item = {"uri": "cell:new", "languageId": "python", "version": 1, "text": TEXT}
    wire.notify(
        "notebookDocument/didChange",
        notebookDocument={"uri": uri, "version": 2},
        change={
            "cells": {
                "structure": {
                    "array": {
                        "start": 0,
                        "deleteCount": 0,
                        "cells": [{"kind": 2, "document": "cell:new"}],
                    },
                    "didOpen": [item],
                }
            }
        },
    )
    assert await reason(wire, "cell:new") == "glob_disabled"


@pytest.mark.parametrize("place", [".aws", ".aws/cli", ".config/gcloud/x", ".ssh"])
@pytest.mark.parametrize("by_link", [False, True])
async def test_a_workspace_that_holds_secrets_itself(wire, tmp_path, place, by_link):
    folder = tmp_path / "home" / place
    folder.mkdir(parents=True)
    (folder / "notes.py").write_text("x = 1\n")
    root = folder
    if by_link:
        root = tmp_path / "link"
        root.symlink_to(folder)
    await wire.begin(root)
    await wire.indexed()
    assert wire.engine.texts == {}
    assert await reason_in(wire, (root / "notes.py").as_uri()) == "secret_file"
    assert await reason_in(wire, (folder / "notes.py").as_uri()) == "secret_file"
    assert await reason_in(wire, f"git:{root}/notes.py?q") == "secret_file"


async def test_a_folder_with_the_name_of_a_secret_file_is_no_secret(wire, tmp_path):
    root = tmp_path / "work.env" / "ws"
    root.mkdir(parents=True)
    (root / "a.py").write_text("x = 1\n")
    link = tmp_path / "link"
    link.symlink_to(root)
    await wire.begin(link)
    await wire.indexed()
    assert set(wire.engine.texts) == {"a.py"}
    assert await reason_in(wire, (link / "a.py").as_uri()) is None
    assert await reason_in(wire, (root / "a.py").as_uri()) is None


async def test_another_name_does_not_expose_a_private_file(wire, root, tmp_path):
    (root / "private").mkdir()
    (root / "private" / "a.py").write_text("x = 1\n")
    (root / "server.pem").write_text("x = 1\n")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("x = 1\n")
    (root / "a.py").symlink_to("private/a.py")
    (root / "b.py").symlink_to("server.pem")
    (root / "c.py").symlink_to(tmp_path / ".aws" / "config")
    (root / "folder").symlink_to("private")
    await wire.begin(root, options={"disabledGlobs": ["private/"]})
    await wire.indexed()
    assert await reason_in(wire, (root / "a.py").as_uri()) == "glob_disabled"
    assert await reason_in(wire, (root / "b.py").as_uri()) == "secret_file"
    assert await reason_in(wire, (root / "c.py").as_uri()) == "secret_file"
    assert await reason_in(wire, (root / "folder" / "new.py").as_uri()) == "glob_disabled"


async def test_a_file_that_becomes_a_link_to_a_private_one(wire, root):
    await wire.begin(root)
    await wire.indexed()
    path = root / "lib.py"
    uri = path.as_uri()
    assert await reason_in(wire, uri) is None
    (root / ".env").write_text("x = 1\n")
    path.unlink()
    path.symlink_to(".env")
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": uri, "type": 2}])
    assert await reason(wire, uri) == "secret_file"


parts = st.lists(st.sampled_from(["a", "gen", "ws", ".aws", "b.py", "x.pem"]), min_size=1)


@given(parts, parts)
def test_a_file_outside_is_judged_at_least_as_in_any_folder_above_it(above, below):
    """So a folder that the server does not know of cannot make a file public."""
    globs = ["gen/**", "/a/b.py"]
    folder, name = "/" + "/".join(above), "/".join(below)
    if refuse_file([FilePlace(folder, name)], globs) is not None:
        assert refuse_file([FilePlace("", f"{folder}/{name}")], globs) is not None
