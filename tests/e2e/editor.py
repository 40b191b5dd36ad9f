"""An editor for tests: a real client of a real server process, which keeps what it is told.

Every wait has a deadline, and every process ends with its editor. What the server said to the user
or logged of errors and no test looked at fails the test in ``close``.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from lsp_server.engine.protocol import engine_converter
from lsp_server.engine.stdio import connect_stdio
from tests.deadline import DEADLINE_S

Json = dict[str, Any]
T = TypeVar("T")


async def soon(work: Awaitable[T]) -> T:
    """The result of the work, or a failure at the deadline."""
    return await asyncio.wait_for(work, DEADLINE_S)


def capabilities(
    *, encoding: str = "utf-32", inline: bool = True, progress: bool = False, pull: bool = False
) -> types.ClientCapabilities:
    """What an editor can do."""
    inline_completion = types.InlineCompletionClientCapabilities() if inline else None
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[encoding]),
        text_document=types.TextDocumentClientCapabilities(inline_completion=inline_completion),
        window=types.WindowClientCapabilities(work_done_progress=progress),
        workspace=types.WorkspaceClientCapabilities(configuration=pull),
    )


class Editor(LanguageClient):
    """A client; ``start`` and ``close`` frame its life."""

    def __init__(self, folder: Path) -> None:
        super().__init__("editor", "1", converter_factory=engine_converter)
        self.statuses: list[Json] = []
        self.messages: list[str] = []
        """Said to the user; a test takes out what it expects."""
        self.heard: list[tuple[str, Any]] = []
        """All that the server sent by itself, in order."""
        self.allows_progress = asyncio.Event()
        """Until it is set, requests for a progress bar have no answer."""
        self.allows_progress.set()
        self.section: Any = {}
        """What it answers to ``workspace/configuration``."""
        self.expected_in_log: tuple[str, ...] = ()
        """Lines with one of these may stand in the server's log."""
        self.process: asyncio.subprocess.Process | None = None
        self.initialized_with: types.InitializeResult | None = None
        # The server writes there too: to the end, wherever the log was read last.
        self._log = (folder / f"server-{id(self)}.log").open("a+")
        self._news = asyncio.Event()
        self._versions: dict[str, int] = {}
        self._listen()

    def _listen(self) -> None:
        @self.feature("longllama/didChangeStatus")
        def status_changed(params: Any) -> None:
            self.statuses.append(params)
            self._note("status", self.statuses[-1])

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def show_message(params: types.ShowMessageParams) -> None:
            self.messages.append(params.message)
            self._note("message", params.message)

        @self.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)
        async def create(params: types.WorkDoneProgressCreateParams) -> None:
            self._note("create", params.token)
            await self.allows_progress.wait()
            self._note("created", params.token)

        @self.feature(types.PROGRESS)
        def progress(params: types.ProgressParams) -> None:
            value: Any = params.value
            self._note(value["kind"], {"token": params.token, **value})

        @self.feature(types.WORKSPACE_CONFIGURATION)
        def configuration(params: types.ConfigurationParams) -> list[Any]:
            return [self.section for _ in params.items]

    def _note(self, kind: str, value: Any) -> None:
        self.heard.append((kind, value))
        self._news.set()

    # Life.

    async def start(
        self,
        *roots: Path,
        settings: Any,
        transport: str = "stdio",
        can: types.ClientCapabilities | None = None,
        env: dict[str, str] | None = None,
        section: Any = None,
        name: str | None = None,
        arguments: Sequence[str] = (),
        module: str = "lsp_server",
    ) -> "Editor":
        """Start a server, connect, and shake hands; ``section`` is the editor's configuration."""
        self.section = section
        command = [sys.executable, "-m", module, "serve", *arguments]
        env = {**os.environ, **(env or {})}
        if transport == "stdio":
            self.process = await connect_stdio(self, *command, stderr=self._log, env=env)
        else:
            command += [f"--{transport}", "0"]
            pipe = asyncio.subprocess.PIPE
            self.process = await asyncio.create_subprocess_exec(*command, stderr=pipe, env=env)
            assert self.process.stderr is not None
            said = (await soon(self.process.stderr.readline())).decode()
            port = int(said.rpartition(":")[2])
            connect = self.start_tcp if transport == "tcp" else self.start_ws
            await soon(connect("127.0.0.1", port))
        await self.shake_hands(*roots, settings=settings, can=can, name=name)
        return self

    async def shake_hands(
        self,
        *roots: Path,
        settings: Any,
        can: types.ClientCapabilities | None = None,
        name: str | None = None,
    ) -> None:
        """``initialize`` and ``initialized``, from an editor of some name."""
        folders = [types.WorkspaceFolder(root.as_uri(), root.name) for root in roots]
        params = types.InitializeParams(
            process_id=os.getpid(),
            capabilities=can or capabilities(),
            initialization_options=settings,
            workspace_folders=folders,
            client_info=None if name is None else types.ClientInfo(name),
        )
        self.initialized_with = await soon(self.initialize_async(params))
        self.initialized(types.InitializedParams())

    async def close(self) -> None:
        """Leave as the protocol wants it, and look for what should not be."""
        status = await self.status()
        engine, held = status["engine_pid"], status["engine"]
        is_shared = held is not None and len(held["users"]) > 1
        await soon(self.shutdown_async(None))
        self.exit(None)
        assert await soon(self._gone()) == 0
        if engine is not None and is_shared:
            assert is_running(engine)
        elif engine is not None:
            await until_ended(engine)
        assert self.messages == []
        self.check_log()

    def check_log(self) -> None:
        """Fail if the server logged an error that no test expects."""
        lines = self.log().splitlines()
        bad = [line for line in lines if "rror" in line or "xception" in line or "Trace" in line]
        assert not [line for line in bad if not any(e in line for e in self.expected_in_log)], lines

    def log(self) -> str:
        """What the server said on stderr, over stdio."""
        self._log.seek(0)
        return self._log.read()

    async def kill(self) -> None:
        """End whatever still runs; for teardown."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await soon(self.process.wait())
        self._stop_event.set()
        for task in self._async_tasks:
            task.cancel()
        await asyncio.gather(*self._async_tasks, return_exceptions=True)
        if isinstance(self.protocol.writer, asyncio.StreamWriter):
            self.protocol.writer.close()
        self._log.close()

    async def _gone(self) -> int:
        """Wait for the server process; its exit code."""
        assert self.process is not None
        if self.process.stderr is not None:
            self._log.write((await self.process.stderr.read()).decode())
        return await self.process.wait()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """What the server sends must be readable."""
        self.messages.append(f"unreadable: {error!r}")

    # Asking.

    async def ask(self, method: str, **params: Any) -> Any:
        """A request of our own kind."""
        return await soon(self.protocol.send_request_async(method, params))

    async def status(self) -> Json:
        return await self.ask("longllama/status")

    async def indexed(self) -> Json:
        """Wait for the memory to be up to date; the status then."""
        await self.ask("longllama/waitUntilIndexed")
        return await self.status()

    async def memory(self) -> dict[str, Json]:
        """Every file that the server knows, by its path in memory."""
        return {file["path"]: file for file in (await self.ask("longllama/memory"))["files"]}

    async def command(self, name: str) -> None:
        params = types.ExecuteCommandParams(name)
        await soon(self.workspace_execute_command_async(params))

    @property
    def phase(self) -> str | None:
        """The phase that the server told last."""
        return self.statuses[-1]["phase"] if self.statuses else None

    @property
    def n_in_memory(self) -> int:
        """The files in memory that the server told last."""
        return self.statuses[-1]["files"]["in_memory"] if self.statuses else 0

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what the server sends to make it so."""

        async def wait() -> None:
            while not is_so():
                self._news.clear()
                await self._news.wait()

        await soon(wait())

    async def memory_until(self, is_so: Callable[[dict[str, Json]], bool]) -> dict[str, Json]:
        """Wait for changes on disk to reach the memory; its files then.

        A file that the server does not know yet, and ``is_so`` asks for, is a reason to wait on.
        """
        files: dict[str, Json] = {}

        def is_reached() -> bool:
            try:
                return is_so(files)
            except KeyError:
                return False

        async def wait() -> None:
            nonlocal files
            while True:
                self._news.clear()
                files = await self.memory()
                if is_reached() and (await self.status())["phase"] != "indexing":
                    files = await self.memory()  # with all that was under way just before
                    if is_reached():
                        return
                await self._news.wait()

        try:
            await soon(wait())
        except asyncio.TimeoutError:
            raise AssertionError(f"not reached; last seen: {files}") from None
        return files

    # Documents.

    def open(self, uri: str, text: str, language: str = "python") -> str:
        self._versions[uri] = 1
        item = types.TextDocumentItem(uri, language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def edit(self, uri: str, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """Replace what stands between two positions."""
        self._versions[uri] += 1
        self.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self._versions[uri], uri),
                [
                    types.TextDocumentContentChangePartial(
                        types.Range(types.Position(*start), types.Position(*end)), text
                    )
                ],
            )
        )

    def close_document(self, uri: str) -> None:
        identifier = types.TextDocumentIdentifier(uri)
        self.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    # Suggestions.

    async def items(
        self, uri: str, line: int, character: int, *, automatic: bool = False, selected: Any = None
    ) -> list[types.InlineCompletionItem]:
        return await soon(self.request(uri, line, character, automatic, selected))

    async def request(
        self, uri: str, line: int, character: int, automatic: bool = False, selected: Any = None
    ) -> list[types.InlineCompletionItem]:
        """Ask for ghost text, without a deadline."""
        trigger = types.InlineCompletionTriggerKind
        kind = trigger.Automatic if automatic else trigger.Invoked
        params = types.InlineCompletionParams(
            context=types.InlineCompletionContext(kind, selected),
            text_document=types.TextDocumentIdentifier(uri),
            position=types.Position(line, character),
        )
        answer = await self.text_document_inline_completion_async(params)
        assert isinstance(answer, types.InlineCompletionList)
        return list(answer.items)

    async def suggestion(self, uri: str, line: int, character: int, **options: Any) -> str:
        """The text of the one suggestion; empty if there is none."""
        items = await self.items(uri, line, character, **options)
        assert len(items) <= 1
        return str(items[0].insert_text) if items else ""

    async def last_reason(self) -> str | None:
        """Why the last answer was empty."""
        return (await self.status())["last_reason"]


ANSWERS: list[Json] = [{"text": "frobnicate(1, 2)", "source": "lib.py"}, {"text": "scripted()"}]
"""What is suggested where no test says otherwise: something, everywhere."""


def scripted(folder: Path, **script: Any) -> Json:
    """Settings for an engine without a model, which answers from a file; see `docs/testing.md`."""
    path = folder / "script.json"
    path.write_text(json.dumps({"answers": ANSWERS, **script}))
    return tiny(folder, f"script:{path}")


def tiny(folder: Path, model: str = "tiny") -> Json:
    """Settings for the model of tests, with its memory on disk in a folder.

    Who asks waits as long as the test does: a busy machine may need longer than a user would wait.
    """
    return {
        "model": {"path": model, "threads": 1},
        "memory": {"cacheDir": str(folder / "cache"), "maxTokens": 1_000_000},
        "trigger": {"debounceMs": 0},
        "completion": {"candidates": 1, "timeoutMs": int(1000 * DEADLINE_S)},
        "engine": {"idleMs": 0},
    }


@asynccontextmanager
async def editing(folder: Path, *roots: Path, **options: Any) -> AsyncIterator[Editor]:
    """An editor with a server of its own; afterwards, both must end as they should.

    Its engine answers from a script, which starts at once, unless ``settings`` name a model.
    """
    editor = Editor(folder)
    if "settings" not in options:
        options["settings"] = scripted(folder)
    try:
        yield await editor.start(*roots, **options)
        if editor.process is not None and editor.process.returncode is None:
            await editor.close()
    finally:
        await soon(editor.kill())


async def until_ended(pid: int) -> None:
    """Wait for a process to end: its connections may end a moment before it does."""

    async def wait() -> None:
        while is_running(pid):
            await asyncio.sleep(0.05)

    await soon(wait())


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked after yet does not."""
    try:
        stat = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
    except subprocess.CalledProcessError:
        return False
    return not stat.stdout.strip().startswith("Z")
