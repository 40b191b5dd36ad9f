"""llama.cpp with llama.vscode, as a compared system.

What the extension does is modelled after its source, version 0.0.63 (``src/completion.ts``,
``src/extra-context.ts``, ``src/architect.ts``); llama.cpp's server is the real one. With two
exceptions, marked where they are made, requests are the extension's: they ask for one suggestion in
place of three, and for greedy decoding, so that results can be repeated.

It is assumed that the person has visited up to eight other files before the document, each opened
at its top and left at a random line. The extension means to pick a chunk around the cursor of an
editor that is left, and of one that is entered. As VS Code names the new editor as the active one
by then, it picks the latter twice; here it picks both, which shows the model more. Each document
begins a new session of the editor, so that prompts do not depend on the order of documents.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsp_server.benchmarks.paths import write_inside
from lsp_server.benchmarks.systems.llama_server import Infill, LlamaServer
from lsp_server.benchmarks.systems.llama_vscode_cache import (
    Suggestions,
    prompt_after,
    prompt_after_line,
)
from lsp_server.benchmarks.systems.llama_vscode_filters import (
    answer_lines,
    fitted,
    is_discarded,
    without_indentation,
)
from lsp_server.benchmarks.systems.llama_vscode_prompt import (
    Cursor,
    Prompt,
    Settings,
    completion_request,
    cursor_at,
    indentation,
    prompt_at,
    split_lines,
    update_request,
)
from lsp_server.benchmarks.systems.ring import CHUNK_LINES, Ring
from lsp_server.benchmarks.systems.system import Answer, Loaded
from lsp_server.benchmarks.systems.visits import visited_files

WAIT_S = 0.15
"""Time between two looks whether the running request has ended (``DELAY_BEFORE_COMPL_REQUEST``)."""
UPDATE_S = 1.0
"""Time between two updates of the ring (``ring_update_ms``)."""
UPDATE_REST_S = 3.0
"""Time after the start of a request without updates (``RING_UPDATE_MIN_TIME_LAST_COMPL``)."""
PICK_DISTANCE_LINES = 32
"""Distance of cursors from which chunks of the document are picked again
(``MAX_LAST_PICK_LINE_DISTANCE``)."""
PICK_SCOPE_LINES = 1024
"""Where the part of the document above the prompt that is picked begins (``ring_scope``)."""
DEFAULTS = Settings()


@asynccontextmanager
async def llama_vscode(
    server: LlamaServer, folder: Path, seed: int, settings: Settings = DEFAULTS
) -> AsyncGenerator["LlamaVscode", None]:
    """Yield an editor with llama.vscode and a folder as its workspace.

    Args:
        server: a running llama-server.
        folder: the workspace. Its absolute path is in prompts, as llama.vscode shows it.
        seed: seed of what is random: where visited files were left, and which part of a long text
            becomes a chunk.
        settings: the extension's settings.
    """
    system = LlamaVscode(server, folder, seed, settings)
    try:
        yield system
    finally:
        await system.close()


@dataclass
class _Request:
    """A request of the editor."""

    cursor: Cursor
    automatic: bool
    is_cancelled: bool = False


class LlamaVscode:
    """A `System`: an editor with llama.vscode, and llama.cpp's server."""

    def __init__(
        self, server: LlamaServer, folder: Path, seed: int, settings: Settings = DEFAULTS
    ) -> None:
        self._server, self._folder, self._seed = server, folder.absolute(), seed
        self._settings = settings
        self._tasks: set[asyncio.Task[Any]] = set()
        self._begin("", "")

    def _begin(self, file: str, text: str) -> None:
        """Begin a session."""
        self._path, self._text = str(self._folder / file), text
        self._random = random.Random(f"{self._seed} {file}")
        self._ring = Ring(self._random)
        self._suggestions = Suggestions(self._settings.max_cache_keys)
        self._is_asking = False
        self._last_start_s = self._last_pick_line = float("-inf")

    async def open(self, file: str, text: str) -> Loaded:
        """Visit other files, open a document, and have the ring's chunks processed.

        llama.cpp keeps what it processed of the same chunks before, as it does between updates.

        Returns:
            Numbers of chunks of other files, and of tokens of a prompt without the document.
        """
        await self.close()
        self._begin(file, text)
        self._visit_files(file)
        self._pick_around(self._path, split_lines(text), 0)
        loaded = Loaded(engine=f"{self._server.model} (llama.cpp {self._server.version})")
        if self._ring.chunks:
            started = time.perf_counter()
            update = update_request(self._ring.chunks, self._settings)
            read = await self._server.infill(update)
            loaded = replace(
                loaded,
                files=len(self._context),
                tokens=read.prompt_tokens,
                seconds=time.perf_counter() - started,
            )
        self._spawn(self._update_periodically())
        return loaded

    async def move_cursor(self, offset: int) -> None:
        """Do nothing: the extension does not listen to where the cursor is."""

    async def change(self, start: int, end: int, text: str) -> None:
        """Replace a part of the document."""
        self._text = self._text[:start] + text + self._text[end:]

    async def complete(self, offset: int, *, automatic: bool = False) -> Answer:
        """Return the suggestion at a cursor.

        If the call is cancelled while another request runs, nothing is asked; if its own runs, that
        one goes on, and the next request waits for it.

        Raises:
            RuntimeError: llama.cpp refused the request.
            SystemGoneError: llama.cpp's server has ended, or takes too long.
            ValueError: the offset is outside of the document.
        """
        request, started = _Request(cursor_at(self._text, offset), automatic), time.perf_counter()
        task = self._spawn(self._answer(request))
        try:
            answer = await asyncio.shield(task)
        except asyncio.CancelledError:
            request.is_cancelled = True
            raise
        return replace(answer, seconds=time.perf_counter() - started)

    async def save_other(self, file: str, text: str) -> None:
        """Write another file, and have the ring with its chunk processed.

        Raises:
            ValueError: a link leads out of the workspace.
        """
        path = write_inside(self._folder, file, text)
        self._ring.pick(str(path), split_lines(text))
        if self._ring.queued:
            self._ring.update_all()
            await self._server.infill(update_request(self._ring.chunks, self._settings))

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of llama-server since it began; None if it cannot be told."""
        return self._server.cpu_seconds()

    async def close(self) -> None:
        """Close the document: end what still runs for it."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _context(self) -> tuple[str, ...]:
        """Texts of the ring's chunks of other files."""
        return tuple(chunk.text for chunk in self._ring.chunks if chunk.file != self._path)

    def _visit_files(self, file: str) -> None:
        """Fill the ring as visits of other files do; they take longer than its updates."""
        for path, text in visited_files(self._folder, file):
            lines = split_lines(text)
            for line in (0, self._random.randrange(len(lines))):
                self._pick_around(str(path), lines, line)

    def _pick_around(self, file: str, lines: list[str], line: int) -> None:
        self._ring.pick_around(file, lines, line)
        self._ring.update()

    async def _answer(self, request: _Request) -> Answer:
        """Wait until it is the request's turn, and answer it."""
        if request.automatic and self._settings.debounce_ms:
            await asyncio.sleep(self._settings.debounce_ms / 1000)
        while self._is_asking and not request.is_cancelled:
            await asyncio.sleep(WAIT_S)
        if request.is_cancelled:
            return Answer(reason="cancelled")
        self._is_asking, self._last_start_s = True, time.monotonic()
        try:
            return await self._suggest(request)
        finally:
            self._is_asking = False

    async def _suggest(self, request: _Request) -> Answer:
        cursor, settings = request.cursor, self._settings
        if request.automatic and len(cursor.line_suffix) > settings.max_line_suffix:
            return Answer(reason="long_line_suffix")
        prompt = prompt_at(cursor, settings)
        text = self._suggestions.find(prompt)
        answer = Answer(context=self._context, is_known=text is not None)
        if text is None:
            infill = await self._ask(prompt, indentation(cursor.lines[cursor.line]))
            text = infill.text
            answer = replace(
                answer,
                stop_reason=infill.stop_reason,
                prompt_tokens=infill.prompt_tokens,
                read_tokens=infill.read_tokens,
                generated_tokens=infill.generated_tokens,
            )
        lines = answer_lines(text)
        if is_discarded(lines, cursor):
            return replace(answer, reason="repeats_document" if lines else "no_text")
        text = fitted(lines, cursor.line_suffix)
        if not answer.is_known:
            self._suggestions.put(prompt, text)
        self._spawn(self._follow_up(request, prompt, lines))
        n_indent = 0 if prompt.prompt else len(cursor.line_prefix)
        return replace(answer, text=without_indentation(text, n_indent))

    async def _ask(self, prompt: Prompt, n_indent: int) -> Infill:
        request = completion_request(prompt, n_indent, self._ring.chunks, self._settings)
        return await self._server.infill(request)

    async def _follow_up(self, request: _Request, prompt: Prompt, lines: list[str]) -> None:
        """Ask ahead, and pick chunks of the document, while the suggestion is shown."""
        is_at_end = not request.cursor.line_suffix.strip()
        if is_at_end and self._settings.asks_ahead and not request.is_cancelled:
            await self._ask_ahead(prompt, lines)
        if not request.is_cancelled:
            self._pick_in_document(request.cursor.line)

    async def _ask_ahead(self, prompt: Prompt, lines: list[str]) -> None:
        """Keep what follows the whole suggestion, and what follows its first line."""
        later = prompt_after(prompt, lines, self._settings.n_prefix)
        if later not in self._suggestions:
            infill = await self._ask(later, indentation(prompt.prompt))
            if text := "\n".join(answer_lines(infill.text)):
                self._suggestions.put(later, text)
        later = prompt_after_line(prompt, lines)
        if len(lines) > 1 and later not in self._suggestions:
            self._suggestions.put(later, "\n".join(lines[1:]))

    def _pick_in_document(self, line: int) -> None:
        """Queue chunks of the document from above and below the prompt, if the cursor moved far."""
        if abs(line - self._last_pick_line) <= PICK_DISTANCE_LINES:
            return
        lines, settings = split_lines(self._text), self._settings
        above = lines[max(0, line - PICK_SCOPE_LINES) : max(0, line - settings.n_prefix) + 1]
        first = min(len(lines) - 1, line + settings.n_suffix)
        below = lines[first : first + CHUNK_LINES + 1]
        for part in (above, below):
            self._ring.pick(self._path, part, evict=False)
        self._last_pick_line = line

    async def _update_periodically(self) -> None:
        while True:
            await asyncio.sleep(UPDATE_S)
            has_rested = time.monotonic() - self._last_start_s >= UPDATE_REST_S
            if has_rested and self._ring.update():
                request = update_request(self._ring.chunks, self._settings)
                self._spawn(self._server.infill(request))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Start a task that ends with the session at the latest.

        Its error goes to whoever waits for it. If nobody does, the next request meets it again.
        """
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            task.exception()  # so that asyncio does not report it as never retrieved
