"""A client without an editor: starts the real server as an editor would, and asks it.

Used by ``complete``, ``demo`` and ``status``, by the benchmarks, and by whoever tests a client.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from longllama_code.source_files.languages import language_of
from lsp_server import __version__
from lsp_server.convert import encoding_of, uri_of
from lsp_server.documents.document import Position, PositionEncoding
from lsp_server.engine.stdio import connect_stdio, python_command
from lsp_server.methods import DID_CHANGE_STATUS, EXPLAIN, STATUS, WAIT_UNTIL_INDEXED

Json = dict[str, Any]

LEAVE_TIMEOUT_S = 10.0


class HeadlessClient(LanguageClient):
    """An LSP client of one server process."""

    def __init__(
        self,
        root: Path,
        settings: Json,
        on_status: Callable[[Json], None],
        capabilities: types.ClientCapabilities | None = None,
    ) -> None:
        super().__init__("longllama-headless", __version__)
        self.root = root
        self.capabilities = capabilities or _capabilities()
        self.encoding: PositionEncoding = "utf-16"
        """What positions count, as agreed in the handshake."""
        self.warnings: list[str] = []
        self._settings = settings

        @self.feature(DID_CHANGE_STATUS)
        def status_changed(params: Any) -> None:
            on_status(plain(params))

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def show_message(params: types.ShowMessageParams) -> None:
            self.warnings.append(params.message)

    async def begin(self) -> types.InitializeResult:
        """The handshake."""
        folder = types.WorkspaceFolder(uri_of(self.root), self.root.name)
        result = await self.initialize_async(
            types.InitializeParams(
                capabilities=self.capabilities,
                initialization_options=self._settings,
                workspace_folders=[folder],
                root_uri=folder.uri,
            )
        )
        self.encoding = encoding_of(result.capabilities)
        self.initialized(types.InitializedParams())
        return result

    async def ask(self, method: str, **params: Any) -> Any:
        """One of our own requests, its answer as plain values."""
        return plain(await self.protocol.send_request_async(method, params))

    async def wait_until_indexed(self) -> Json:
        """Wait for the repository to be in memory; the status then.

        Raises:
            RuntimeError: the engine failed; the message says why.
        """
        status: Json = await self.ask(WAIT_UNTIL_INDEXED)
        if status["phase"] == "failed":
            raise RuntimeError(status["message"])
        return status

    async def status(self) -> Json:
        """The server's status."""
        return await self.ask(STATUS)

    async def explain(self) -> Json | None:
        """Where the last suggestion came from."""
        return await self.ask(EXPLAIN)

    def open(self, path: Path, text: str | None = None) -> str:
        """Open a document, with its text on disk unless another is given; its URI."""
        uri = uri_of(path)
        text = path.read_text("utf-8") if text is None else text
        language = language_of(path.name) or "plaintext"
        item = types.TextDocumentItem(uri, language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    async def complete(self, uri: str, position: Position) -> str:
        """The suggestion at a position, as if the user had asked for it; empty if none."""
        answer = await self.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
                text_document=types.TextDocumentIdentifier(uri),
                position=types.Position(position.line, position.character),
            )
        )
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        texts = [item.insert_text for item in items]
        return str(texts[0]) if texts else ""

    async def complete_in_popup(self, uri: str, position: Position) -> str:
        """The suggestion at a position as a client without ghost text gets it; empty if none.

        It is what accepting the item inserts behind the word before the cursor.
        """
        answer = await self.text_document_completion_async(
            types.CompletionParams(
                types.TextDocumentIdentifier(uri),
                types.Position(position.line, position.character),
            )
        )
        items = answer.items if isinstance(answer, types.CompletionList) else answer or []
        edits = [item.text_edit for item in items if item.text_edit is not None]
        if not edits or not isinstance(edits[0], types.TextEdit):
            return ""
        n_replaced = edits[0].range.end.character - edits[0].range.start.character
        return edits[0].new_text[n_replaced:]


@asynccontextmanager
async def headless(
    root: Path,
    settings: Json | None = None,
    on_status: Callable[[Json], None] = lambda _: None,
    command: list[str] | None = None,
    capabilities: types.ClientCapabilities | None = None,
) -> AsyncGenerator[HeadlessClient, None]:
    """A client connected to a server of its own over stdio, from handshake to shutdown.

    Unless the settings say otherwise, an engine that it was the last to use ends with it.
    """
    settings = {"engine": {"idleMs": 0}, **(settings or {})}
    client = HeadlessClient(root.absolute(), settings, on_status, capabilities)
    await connect_stdio(client, *(command or python_command("lsp_server.__main__")))
    try:
        await client.begin()
        yield client
    finally:
        await _leave(client)


async def _leave(client: HeadlessClient) -> None:
    """End the server in good order, or after a while in whatever order."""
    if not client.stopped:
        with suppress(asyncio.TimeoutError, RuntimeError):  # the latter if it dies over this
            await asyncio.wait_for(client.shutdown_async(None), LEAVE_TIMEOUT_S)
        client.exit(None)
    process = client._server  # pyright: ignore[reportPrivateUsage]
    assert process is not None
    try:
        await asyncio.wait_for(process.wait(), LEAVE_TIMEOUT_S)
    except asyncio.TimeoutError:
        process.kill()
    await client.stop()


def plain(value: Any) -> Any:
    """What pygls makes of messages that it does not know, as dictionaries and lists."""
    if hasattr(value, "_asdict"):
        return {key: plain(item) for key, item in value._asdict().items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _capabilities() -> types.ClientCapabilities:
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(
            position_encodings=[types.PositionEncodingKind.Utf32]
        ),
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        ),
    )
