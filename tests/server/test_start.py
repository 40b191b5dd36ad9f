"""Whatever fails while a session begins, it ends as ready or failed, and says why."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import longllama_code
import lsp_server
from lsp_server.convert import path_of
from lsp_server.handlers import lifecycle
from lsp_server.status import diagnosis
from tests.server.wire import RpcError, Wire

OURS = tuple(str(Path(package.__file__).parent) for package in (lsp_server, longllama_code))
ERRORS = (RuntimeError, OSError, RecursionError, MemoryError, ValueError, KeyError, AssertionError)


@pytest.fixture(autouse=True)
def no_probe(monkeypatch):
    """Checks of torch and the model are left out: a child process that imports torch is slow."""
    found = {"torch": {"error": "not asked"}, "model": {"name": "m", "error": "not asked"}}
    monkeypatch.setattr(diagnosis, "_probe", lambda _: found)


def deepest(root, n_folders):
    """Make a folder that lies deeper than a path may be long; return how deep."""
    here = Path.cwd()
    try:
        os.chdir(root)
        for _ in range(n_folders):
            Path("d").mkdir()
            os.chdir("d")
        Path("deep.py").write_text("x = 1\n")
    finally:
        os.chdir(here)


async def checks_of(wire):
    found = await wire.ask("longllama/diagnose")
    return {check["name"]: check for check in found["checks"]}


@pytest.mark.parametrize(
    "text", [f"a = {'9' * 5000}\n", f"a = {'[' * 3000}", "[tool\n", "a = '\udcff'\n", "\0"]
)
async def test_a_pyproject_that_cannot_be_read(wire, root, text):
    (root / "pyproject.toml").write_bytes(text.encode(errors="surrogateescape"))
    await wire.begin(root)
    assert (await wire.indexed())["phase"] == "ready"
    assert "lib.py" in wire.engine.texts
    assert len([message for message in wire.messages if "pyproject.toml" in message]) == 1
    found = await wire.ask("longllama/diagnose")
    assert "pyproject.toml" in found["text"]


@pytest.mark.skipif(sys.platform == "win32", reason="its paths are not as long")
async def test_folders_deeper_than_the_recursion_limit(wire, root):
    deepest(root, 1100)
    try:
        await wire.begin(root)
        assert (await wire.indexed())["phase"] == "ready"
        assert set(wire.engine.texts) == {"lib.py"}
        (root / "lib.py").write_text("new = 1\n")
        changes = [{"uri": (root / "lib.py").as_uri(), "type": 2}]
        wire.notify("workspace/didChangeWatchedFiles", changes=changes)
        await wire.until(lambda: wire.engine.texts.get("lib.py") == "new = 1\n")
        files = (await wire.ask("longllama/memory"))["files"]
        assert "too_deep" in {file["reason"] for file in files}
    finally:
        subprocess.run(["rm", "-rf", root / "d"], check=True)  # Python itself would not end it


@pytest.mark.parametrize("uri", ["file://[bad/x", "file:///a%00b", "file:///\ud800", "file://[::1"])
async def test_a_malformed_folder_beside_a_good_one(wire, root, uri):
    folders = [{"uri": uri, "name": "bad"}, {"uri": root.as_uri(), "name": "good"}]
    await wire.ask(
        "initialize",
        processId=None,
        rootUri=uri,
        capabilities={},
        workspaceFolders=folders,
    )
    wire.notify("initialized")
    assert (await wire.indexed())["phase"] == "ready"
    assert set(wire.engine.texts) == {"lib.py"}
    (message,) = wire.messages
    assert "malformed" in message
    message.encode()  # it can be written anywhere
    names = await checks_of(wire)
    assert any("workspace folder" in name for name in names)


@pytest.mark.parametrize("uri", ["file://[bad/x", "file:///a%00b", "file:///\ud800", "%", ""])
async def test_a_malformed_uri_among_changed_files(wire, root, uri):
    await wire.begin(root)
    await wire.indexed()
    await wire.server.session.folders.stop_watching()
    (root / "lib.py").write_text("new = 1\n")
    changes = [{"uri": uri, "type": 2}, {"uri": (root / "lib.py").as_uri(), "type": 2}]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    await wire.until(lambda: wire.engine.texts.get("lib.py") == "new = 1\n")


async def test_a_folder_is_named_by_its_own_uri_and_not_by_a_decoded_one(wire, tmp_path):
    root = tmp_path / "c#%23"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"a.py"}


async def test_a_cache_folder_of_nobody(wire, root):
    await wire.begin(root, options={"memory": {"cacheDir": "~nosuchuser/x"}})
    assert (await wire.indexed())["phase"] == "ready"
    (message,) = [message for message in wire.messages if "cacheDir" in message]
    assert "~nosuchuser/x" in message
    assert "~nosuchuser" in (await wire.ask("longllama/diagnose"))["text"]


@pytest.mark.skipif(sys.platform == "win32", reason="users without a home are of POSIX")
async def test_a_user_without_a_home(wire, root, monkeypatch):
    import pwd

    def nobody(_):
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME", "LONGLLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    await wire.begin(root)
    assert (await wire.indexed())["phase"] == "ready"
    assert "lib.py" in wire.engine.texts
    await wire.ask("longllama/diagnose")


@given(st.text(max_size=30), st.sampled_from(["file:", "file://", "file:///", ""]))
@settings(max_examples=2000)
def test_any_text_is_a_path_or_none(text, scheme):
    path = path_of(scheme + text)
    assert path is None or (path.is_absolute() and isinstance(path.exists(), bool))


async def test_an_indexer_that_gave_up_unstarted_keeps_nobody_waiting(bench):
    path = bench.write("lib.py")
    bench.make()
    bench.indexer.give_up()
    bench.indexer.refill()  # the engine is ready all the same
    bench.indexer.changed([path])
    assert not bench.indexer.busy
    bench.indexer.reindex()  # what the message tells its user to do
    await bench.until(lambda: "lib.py" in bench.engine.texts)


class Injection:
    """Raises an error at one call of our own code, on any thread."""

    def __init__(self, at, error):
        self.at, self.error = at, error
        self.n_calls = 0
        self.where = None
        self._has_begun = False
        self._lock = threading.Lock()

    def __call__(self, frame, event, _):
        if event != "call" or not frame.f_code.co_filename.startswith(OURS):
            return
        if any(name in frame.f_code.co_filename for name in ("lsp_protocol", "receiving")):
            return  # messages that cannot be decoded have tests of their own
        with self._lock:
            self._has_begun |= frame.f_code is lifecycle._begin.__code__
            self.n_calls += self._has_begun
            is_due = self._has_begun and self.n_calls == self.at
        if is_due:
            self.where = f"{frame.f_code.co_filename}:{frame.f_code.co_name}"
            raise self.error("injected")

    def __enter__(self):
        self._former = sys.gettrace()
        threading.settrace(self)
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self._former)
        threading.settrace(self._former)


async def start_with(monkeypatch, root, injection):
    """Start a session with a fault; return the status in the end."""
    wire = Wire(monkeypatch)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    try:
        await wire.ask(
            "initialize",
            processId=None,
            rootUri=root.as_uri(),
            capabilities={"workspace": {"configuration": True}},
        )
        with injection:
            wire.notify("initialized")
            with suppress(RpcError):  # an answer all the same
                await wire.indexed()
        return await wire.indexed(), wire
    finally:
        await wire.end()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_exception_at_any_step_of_the_start(monkeypatch, root):
    counted = Injection(0, RuntimeError)
    status, _ = await start_with(monkeypatch, root, counted)
    assert status["phase"] == "ready"
    assert counted.n_calls > 300
    every = int(os.environ.get("LONGLLAMA_INJECT_EVERY", "7"))
    for at in range(1, counted.n_calls, every):
        injection = Injection(at, ERRORS[at % len(ERRORS)])
        status, wire = await start_with(monkeypatch, root, injection)
        assert status["phase"] in ("ready", "failed"), injection.where
        assert status["phase"] == "ready" or status["message"], injection.where
        files = status["files"]
        has_said = status["kind"] != "Normal" or files["left_out"]
        assert "lib.py" in wire.engine.texts or has_said, injection.where
