"""An indexer on real files with an engine that only keeps a list, a server, and watchers."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from longllama_code.protocol import RememberResult
from longllama_code.source_files.workspace import Workspace
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.indexer import Indexer
from lsp_server.models import pull_process
from lsp_server.settings.layers import resolve
from lsp_server.watching.watcher import Watcher
from tests.deadline import DEADLINE_S
from tests.server.watching.recorder import Recorder
from tests.server.wire import Wire


class ListEngine:
    """Remembers texts by path, one token a character; may be slow, unready, or die."""

    def __init__(self):
        self.ready = True
        self.token_bytes = 10
        self.is_limited = True
        self.texts = {}
        self.defined = {}
        self.asked = []
        self.events = []
        """Requests in their order, each with the files that it named."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.may_define = asyncio.Event()
        self.may_define.set()
        self.errors = {}
        """Errors to raise, by the file or the kind of request."""
        self.on_end = lambda: None
        """Called soon after a request that the engine died of."""
        self.is_warm = False
        """Whether the store has everything."""
        self.takes_s = 0.0
        self.n_asking = self.n_asked_at_once = 0

    async def define(self, texts):
        self.events.append(("define", tuple(texts)))
        await self.may_define.wait()
        self._fail("define")
        self.defined.update(texts)
        return True

    async def remember(self, path, text, folder=""):
        self.asked.append(path)
        self.events.append(("remember", path))
        self.n_asking += 1
        self.n_asked_at_once = max(self.n_asked_at_once, self.n_asking)
        await self.may_answer.wait()
        await asyncio.sleep(self.takes_s)
        self.n_asking -= 1
        self._fail(path)
        self.texts[path] = text
        return RememberResult(path, len(text), 1, int(not self.is_warm), int(self.is_warm), 0)

    async def forget(self, paths):
        self.events.append(("forget", tuple(paths)))
        self._fail("forget")
        for path in paths:  # what was never there must not be forgotten
            assert path in self.texts or path in self.defined
            self.texts.pop(path, None)
            self.defined.pop(path, None)

    def _fail(self, what):
        if errors := self.errors.get(what):
            error = errors.pop(0)
            if isinstance(error, EngineGone) and not isinstance(error, EngineAway):
                asyncio.get_running_loop().call_soon(self.on_end)
            raise error


class Bench:
    """An indexer, its engine, its folder, and the open documents."""

    def __init__(self, root):
        self.root = root
        self.engine = ListEngine()
        self.engine.on_end = self.restart
        self.open = {}
        self.changed = asyncio.Event()
        self.scanned = asyncio.Event()
        self.indexer = None

    def start(self, *roots, **memory):
        self.make(*roots, **memory)
        self.indexer.start()

    def make(self, *roots, **memory):
        settings, problems = resolve([{"memory": memory}])
        assert not problems
        self.workspace = Workspace(roots or [self.root])
        self._tell_of_scans()
        self.indexer = Indexer(
            self.engine,
            self.workspace,
            self.open.keys,
            self.open.get,
            settings.memory,
            self.changed.set,
        )

    def restart(self):
        """Have the engine ready again, with an empty memory."""
        self.engine.texts.clear()
        self.engine.defined.clear()
        self.indexer.refill()

    def write(self, name, text="x = 1\n"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    async def until(self, is_so):
        """Wait for a change of the indexer to make it so."""

        async def wait():
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

        await asyncio.wait_for(wait(), DEADLINE_S)

    async def idle(self):
        await self.until(lambda: not self.indexer.busy)

    async def asked(self, n):
        """Wait for the engine to be asked so often; only for questions it does not answer yet."""

        async def wait():
            while len(self.engine.asked) < n:
                await asyncio.sleep(0.001)

        await asyncio.wait_for(wait(), DEADLINE_S)

    def _tell_of_scans(self):
        """Have the scan, which runs on a thread, set an event at its end.

        A loop that spins meanwhile takes the interpreter's lock from the scan: 5 ms for each
        system call.
        """
        scan, loop = self.workspace.scan, asyncio.get_running_loop()

        def scan_and_tell():
            entries = list(scan())
            loop.call_soon_threadsafe(self.scanned.set)
            return entries

        self.workspace.scan = scan_and_tell

    def states(self):
        return {file.name: file.reason or file.state.value for file in self.indexer.files}


@pytest_asyncio.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    if bench.indexer is not None:
        await bench.indexer.stop()


@pytest_asyncio.fixture
async def wire(monkeypatch):
    """A server in this process, before its handshake."""
    wire = Wire(monkeypatch)
    yield wire
    await wire.end()


@pytest.fixture
def root(tmp_path):
    """A workspace folder with one file."""
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "lib.py").write_text("def frobnicate(left, right):\n    return left\n")
    return folder


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def watch(recorder: Recorder) -> Iterator[Callable[..., Watcher]]:
    """Makes watchers that report to `recorder`; checks that they leave no thread behind."""
    before = set(threading.enumerate())
    watchers: list[Watcher] = []

    def make(*roots: Path, debounce_ms: int = 20, **options: Callable[[Path], bool]) -> Watcher:
        watchers.append(Watcher(roots, recorder, debounce_ms, **options))
        return watchers[-1]

    yield make
    for watcher in watchers:
        watcher.stop()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def pulls(monkeypatch, tmp_path):
    """Puts a program in the place of ``longllama``."""

    def put(code):
        program = tmp_path / "program.py"
        program.write_text("import sys, time, subprocess, pathlib\n" + code)
        monkeypatch.setattr(
            pull_process, "python_command", lambda _: [sys.executable, str(program)]
        )

    return put
