"""LSP client without an editor, which starts the server as an editor would.

Used by the commands of ``longllama-lsp``, by benchmarks, and by the pytest plugin.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from longllama_code.console import read_text
from longllama_code.source_files.languages import language_of
from lsp_server import __version__
from lsp_server.convert import encoding_of, uri_of
from lsp_server.documents.document import Position, PositionEncoding
from lsp_server.engine.protocol import engine_converter
from lsp_server.engine.python_command import python_command
from lsp_server.engine.stdio import connect_stdio
from lsp_server.methods import DID_CHANGE_STATUS, EXPLAIN, STATUS, WAIT_UNTIL_INDEXED
from lsp_server.tasks import retrieve_exception

Json = dict[str, Any]
T = TypeVar("T")

EXIT_TIMEOUT_S = 10.0


class HeadlessClient(LanguageClient):
    """LSP client of one server process."""

    def __init__(
        self,
        root: Path,
        settings: Json,
        on_status: Callable[[Json], None],
        capabilities: types.ClientCapabilities | None = None,
    ) -> None:
        super().__init__("longllama-headless", __version__, converter_factory=engine_converter)
        self.root = root
        self.capabilities = capabilities or _capabilities()
        self.encoding: PositionEncoding = "utf-16"
        """Unit of positions, as agreed in the handshake."""
        self.warnings: list[str] = []
        """Messages that the server showed to the user."""
        self.process: asyncio.subprocess.Process | None = None
        self._settings = settings

        @self.feature(DID_CHANGE_STATUS)
        def status_changed(params: Any) -> None:
            on_status(params)

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def show_message(params: types.ShowMessageParams) -> None:
            self.warnings.append(params.message)

    async def start(self, *command: str) -> types.InitializeResult:
        """Start the server and complete the handshake."""
        self.process = await connect_stdio(self, *command)
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

    async def request(self, method: str, **params: Any) -> Any:
        """Send a request of `lsp_server.methods`, and return its result as plain values."""
        return await _response(self.protocol.send_request_async(method, params))

    async def wait_until_indexed(self) -> Json:
        """Wait until the repository is in memory, and return the status.

        Raises:
            RuntimeError: the engine failed; the message says why.
        """
        status: Json = await self.request(WAIT_UNTIL_INDEXED)
        if status["phase"] == "failed":
            raise RuntimeError(status["message"])
        return status

    async def status(self) -> Json:
        """Return the status of server and engine."""
        return await self.request(STATUS)

    async def explain(self) -> Json | None:
        """Return where the last suggestion came from."""
        return await self.request(EXPLAIN)

    def open(self, path: Path, text: str | None = None) -> str:
        """Open a document, with its text on disk unless another is given, and return its URI."""
        uri = uri_of(path)
        text = read_text(path) if text is None else text
        language = language_of(path.name) or "plaintext"
        item = types.TextDocumentItem(uri, language, 1, text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def change(self, uri: str, version: int, text: str) -> None:
        """Replace the whole text of an open document."""
        identifier = types.VersionedTextDocumentIdentifier(version, uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))

    async def complete(self, uri: str, position: Position) -> str:
        """Return the suggestion that the user gets when invoking it; empty if there is none."""
        params = types.InlineCompletionParams(
            context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
            text_document=types.TextDocumentIdentifier(uri),
            position=types.Position(position.line, position.character),
        )
        answer = await _response(self.text_document_inline_completion_async(params))
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        texts = [item.insert_text for item in items]
        return str(texts[0]) if texts else ""

    async def complete_in_popup(self, uri: str, position: Position) -> str:
        """Return the suggestion that a client without ghost text gets; empty if there is none.

        Only the part that follows the word before the cursor is returned.
        """
        params = types.CompletionParams(
            types.TextDocumentIdentifier(uri), types.Position(position.line, position.character)
        )
        answer = await _response(self.text_document_completion_async(params))
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
    """Yield a client of a new server over stdio, from handshake to shutdown.

    Args:
        root: workspace folder.
        settings: ``initializationOptions``. By default, an engine that no other server uses ends
            with this one.
        on_status: called with every status that the server sends.
        command: command that starts the server.
        capabilities: what the client supports; by default, ghost text and UTF-32 positions.
    """
    # Nobody types here, so nothing is counted.
    settings = {"engine": {"idleMs": 0}, "statistics": {"enable": False}, **(settings or {})}
    client = HeadlessClient(root.absolute(), settings, on_status, capabilities)
    try:
        await client.start(*(command or python_command("lsp_server.__main__")))
        yield client
    finally:
        await _stop(client)


async def _stop(client: HeadlessClient) -> None:
    """End the server with ``shutdown`` and ``exit``, or kill it if it does not respond."""
    process = client.process
    if process is None:
        return
    with suppress(asyncio.TimeoutError, RuntimeError):  # the latter if it has died or does now
        await asyncio.wait_for(_response(client.shutdown_async(None)), EXIT_TIMEOUT_S)
    with suppress(RuntimeError):
        client.exit(None)
    try:
        await asyncio.wait_for(process.wait(), EXIT_TIMEOUT_S)
    except asyncio.TimeoutError:
        process.kill()
    await client.stop()


async def _response(sent: Awaitable[T]) -> T:
    """Wait for a response; whoever stops to wait leaves it to come, or pygls would log an error."""
    response = asyncio.ensure_future(sent)
    response.add_done_callback(retrieve_exception)
    return await asyncio.shield(response)


def _capabilities() -> types.ClientCapabilities:
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(
            position_encodings=[types.PositionEncodingKind.Utf32]
        ),
        text_document=types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities()
        ),
    )
