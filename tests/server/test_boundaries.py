"""Nothing outside the workspace is read, whatever paths, symlinks and URIs name."""

import os

import pytest

from lsp_server.convert import path_of
from lsp_server.transports import is_loopback

OUTSIDE = "password of the outside\n"


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "private.py").write_text(OUTSIDE)
    return folder


def texts(wire):
    return "".join(wire.engine.texts.values())


@pytest.mark.parametrize(
    "escape",
    ["../outside/private.py", "%2e%2e/outside/private.py", "sub/../../outside/private.py"],
)
async def test_a_uri_that_climbs_out(wire, root, outside, escape):
    await wire.begin(root)
    await wire.indexed()
    uri = f"{root.as_uri()}/{escape}"
    wire.open(uri, OUTSIDE)
    changes = [{"uri": uri, "type": 2}]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    wire.notify("textDocument/didSave", textDocument={"uri": uri})
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    wire.notify("textDocument/didClose", textDocument={"uri": uri})
    await wire.indexed()
    assert OUTSIDE not in texts(wire)


async def test_a_uri_that_climbs_and_comes_back_is_the_file_itself(wire, root):
    await wire.begin(root)
    await wire.indexed()
    assert path_of(f"{root.as_uri()}/sub/../lib.py") == root / "lib.py"
    wire.open(f"{root.as_uri()}/sub/../lib.py", "live = 1\n")
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "live = 1\n"}


async def test_links_that_lead_out(wire, root, outside):
    (root / "file.py").symlink_to(outside / "private.py")
    (root / "folder").symlink_to(outside)
    (root / "up").symlink_to("..")
    await wire.begin(root)
    await wire.indexed()
    changes = [
        {"uri": f"{root.as_uri()}/{name}", "type": 1}
        for name in ("file.py", "folder/private.py", "up/outside/private.py")
    ]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    await wire.indexed()
    assert OUTSIDE not in texts(wire)
    known = (await wire.ask("longllama/memory"))["files"]
    assert {file["path"]: file["reason"] for file in known} == {
        "lib.py": None,
        "file.py": "symlink_outside",
    }


async def test_a_file_that_becomes_a_link_leaves_memory(wire, root, outside):
    await wire.begin(root)
    await wire.indexed()
    (root / "lib.py").unlink()
    (root / "lib.py").symlink_to(outside / "private.py")
    await wire.until(lambda: not wire.engine.texts)


@pytest.mark.parametrize("where", ["/etc", "/proc/self", "/dev"])
async def test_links_to_the_system(wire, root, where):
    (root / "system").symlink_to(where)
    (root / "self.py").symlink_to("/proc/self/environ")
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}


async def test_a_pipe_does_not_hold_the_server_up(wire, root):
    os.mkfifo(root / "pipe.py")
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_what_is_this_machine_alone(host, expected):
    assert is_loopback(host) is expected
