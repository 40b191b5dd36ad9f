"""URIs and paths."""

import socket

import pytest

from lsp_server.convert import path_of

HOSTS = ["", "localhost", "LOCALHOST", "127.0.0.1", "[::1]", socket.gethostname()]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["file", "FILE"])
def test_a_uri_may_name_this_machine(host, scheme, root):
    path = root.as_uri().removeprefix("file://")
    assert path_of(f"{scheme}://{host}{path}") == root


@pytest.mark.parametrize(
    "uri", ["file:", "file://", "file://host", "file:lib.py", "filed:///a.py", "untitled:a.py", ""]
)
def test_a_uri_without_a_path_names_no_file(uri):
    assert path_of(uri) is None


async def test_a_workspace_folder_that_names_this_machine_is_indexed(wire, root):
    path = root.as_uri().removeprefix("file://")
    folder = {"uri": f"file://localhost{path}", "name": "ws"}
    await wire.ask("initialize", processId=None, capabilities={}, workspaceFolders=[folder])
    wire.notify("initialized")
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    wire.open(f"file://localhost{path}/lib.py", "live = 1\n")
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "live = 1\n"}
