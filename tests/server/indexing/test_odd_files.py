"""Files that no server should stumble over: huge, binary, broken, moving while they are read."""

import asyncio
import os
import time

import pytest

from lsp_server.documents.document import Documents, Edit, Position
from lsp_server.watching import watcher as watcher_module


async def test_odd_files_are_left_out_with_their_reasons(wire, root):
    with (root / "huge.py").open("wb") as file:
        file.truncate(500 * 1024 * 1024)
    (root / "binary.py").write_bytes(b"x = 1\n\0\1\2")
    (root / "late_binary.py").write_bytes(b"x = 1\n" * 3000 + b"\0")
    (root / "latin1.py").write_bytes("s = 'é'\n".encode("latin-1"))
    (root / "long.py").write_text("x = '" + "a" * 100_000 + "'\n")
    (root / "empty.py").write_text("")
    (root / "mixed.py").write_bytes(b"a = 1\r\nb = 2\nc = 3\rd = 4\r\n")
    (root / "bom.py").write_bytes(b"\xef\xbb\xbfe = 5\n")
    await wire.begin(root)
    started = time.process_time()
    await wire.indexed()
    assert time.process_time() - started < 10
    known = (await wire.ask("longllama/memory"))["files"]
    assert {file["path"]: file["reason"] for file in known if file["reason"]} == {
        "huge.py": "too_large",
        "binary.py": "binary",
        "late_binary.py": "binary",
        "latin1.py": "not_utf8",
        "long.py": "generated",
        "empty.py": "empty",
    }
    assert wire.engine.texts["mixed.py"] == "a = 1\nb = 2\nc = 3\nd = 4\n"
    assert wire.engine.texts["bom.py"] == "e = 5\n"


async def test_a_folder_renamed_while_it_is_indexed(wire, root):
    folder = root / "package"
    folder.mkdir()
    for number in range(200):
        (folder / f"m{number:03}.py").write_text(f"x = {number}\n")
    await wire.begin(root)
    await wire.until(lambda: len(wire.engine.texts) > 20)
    folder.rename(root / "renamed")
    expected = {f"renamed/m{number:03}.py" for number in range(200)} | {"lib.py"}
    await wire.until(lambda: set(wire.engine.texts) == expected)
    status = await wire.indexed()
    assert (status["phase"], status["files"]["in_memory"]) == ("ready", 201)


async def test_a_workspace_that_vanishes_and_comes_back(wire, root):
    await wire.begin(root)
    await wire.indexed()
    away = root.with_name("away")
    root.rename(away)
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": root.as_uri(), "type": 3}])
    await wire.until(lambda: not wire.engine.texts)
    assert (await wire.ask("longllama/status"))["kind"] == "Normal"
    away.rename(root)
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": root.as_uri(), "type": 1}])
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})


async def test_the_user_is_told_once_that_changes_are_looked_for(wire, root, monkeypatch):
    def no_observer():
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr(watcher_module, "Observer", no_observer)
    await wire.begin(root)
    await wire.indexed()
    await wire.until(lambda: wire.messages)
    (message,) = wire.messages
    assert "fs.inotify.max_user_watches" in message
    (root / "new.py").write_text("y = 2\n")
    await wire.until(lambda: "new.py" in wire.engine.texts)
    await wire.command("longllama.toggle")
    await wire.command("longllama.toggle")
    await wire.indexed()
    assert wire.messages == [message]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_keystroke_in_a_very_long_line(newline):
    documents = Documents()
    text = f"x = 1{newline}s = '{'a' * 1_000_000}'{newline}"
    documents.open("untitled:a", "python", 1, text)
    place = Position(1, 500_000)
    documents.change("untitled:a", [Edit(place, place, "b")], 2, "utf-16")
    changed = documents.get("untitled:a").text
    assert changed.count("b") == 1
    assert len(changed) == len(text) + 1


async def test_the_server_does_not_wait_for_a_slow_scan_of_secrets(wire, root):
    (root / "large.py").write_text("value = compute(password=settings.password)\n" * 11_000)
    await wire.begin(root)
    uri = wire.open("untitled:a", "x = ")
    slowest_s = 0.0
    while (await wire.ask("longllama/status"))["busy"]:
        started = time.process_time()  # the scan's time counts, other work on the machine does not
        await wire.inline(uri, 0, 4)
        slowest_s = max(slowest_s, time.process_time() - started)
        await asyncio.sleep(0.01)
    assert "large.py" in wire.engine.texts
    assert slowest_s < 2


@pytest.mark.parametrize("jump_s", [-3600, 3600, 10**9])
async def test_the_clock_jumps(wire, root, monkeypatch, jump_s):
    """Times of files are compared with one another for being equal, and never ordered."""
    path = root / "lib.py"
    await wire.begin(root)
    await wire.indexed()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: int((now() + jump_s) * 1e9))
    size = len(path.read_bytes())
    path.write_text("#" * size)  # as large as before
    os.utime(path, (now() + jump_s, now() + jump_s))
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": path.as_uri(), "type": 2}])
    await wire.until(lambda: wire.engine.texts["lib.py"] == "#" * size)
    n_remembered = wire.engine.n_remembered
    await wire.command("longllama.reindex")  # looks at all files again, whatever their times say
    await wire.until(lambda: wire.engine.n_remembered > n_remembered)
    (root / "new.py").write_text("x = 1\n")
    await wire.until(lambda: "new.py" in wire.engine.texts)
    status = await wire.indexed()
    assert (status["phase"], status["files"]["in_memory"]) == ("ready", 2)
