"""Language server of one client: its session, and what is shown to its user.

Handlers of messages are registered by ``lsp_server.handlers.table``.
"""

import hmac
import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidRequest
from pygls.lsp.server import LanguageServer

from lsp_server import __version__
from lsp_server.indexing.file_table import Status
from lsp_server.lsp_protocol import Protocol
from lsp_server.methods import DID_CHANGE_STATUS
from lsp_server.notices.copilot_status import CopilotStatus
from lsp_server.notices.indexing_progress import IndexingProgress
from lsp_server.notices.larger_model_offer import LargerModelOffer
from lsp_server.notices.messages import show_message
from lsp_server.reasons import place_of
from lsp_server.receiving.lenient import lenient_converter
from lsp_server.session import Session
from lsp_server.settings.declarations import SECTION
from lsp_server.tasks import BackgroundTasks

logger = logging.getLogger(__name__)

NOTEBOOK_SYNC = types.NotebookDocumentSyncOptions(
    notebook_selector=[types.NotebookDocumentFilterWithNotebook(notebook="*")],
    save=True,
)


class Server(LanguageServer):
    """State of one client's connection."""

    def __init__(
        self, command_line: Mapping[str, Any] | None = None, token: str | None = None
    ) -> None:
        """Create a server without handlers.

        Args:
            command_line: settings given on the command line.
            token: what ``initializationOptions.token`` must be; None to accept every client.
        """
        super().__init__(
            "longllama-lsp",
            __version__,
            notebook_document_sync=NOTEBOOK_SYNC,
            protocol_cls=Protocol,
            converter_factory=lenient_converter,
        )
        self.stop_event = threading.Event()
        """Set when no further message is to be read."""
        self.background_tasks = BackgroundTasks()
        self.session = Session(self, command_line)
        self.indexing_progress = IndexingProgress(self, self.session)
        self.larger_model_offer = LargerModelOffer(self, self.session)
        self.copilot_status = CopilotStatus(self.protocol.notify)
        self.is_for_copilot = False
        """Whether the client was written for Copilot's language server."""
        self.popups_replace = True
        """Whether an item of the client's popup may replace text behind the cursor."""
        self._token = token

    @property
    def is_initialized(self) -> bool:
        """Whether the client was accepted."""
        return cast("Protocol", self.protocol).is_initialized

    @property
    def was_shut_down(self) -> bool:
        """Whether the client sent ``shutdown``, as it should before ``exit``."""
        return cast("Protocol", self.protocol).was_shut_down

    def receive(self, body: bytes) -> None:
        """Handle the body of a message from the client. Raises nothing."""
        cast("Protocol", self.protocol).receive(body)

    def accept_client(self, options: Any) -> Any:
        """Check the token in ``initializationOptions``, and return the options without it.

        Raises:
            JsonRpcInvalidRequest: the token is missing or wrong.
        """
        token = options.pop("token", None) if isinstance(options, dict) else None
        if self._token is not None and not _is_same_token(token, self._token):
            self.stop_event.set()
            raise JsonRpcInvalidRequest(
                "initializationOptions.token is missing or wrong; the server printed the right one."
            )
        cast("Protocol", self.protocol).is_initialized = True
        return options

    async def close(self) -> None:
        """Stop all work for the client. Closing twice does no harm."""
        await self.larger_model_offer.close()
        await self.session.end()

    def status_changed(self, status: Status) -> None:
        """Send a new status to the client, and update the progress bar of indexing."""
        self.protocol.notify(DID_CHANGE_STATUS, asdict(status))
        self.indexing_progress.update(status)
        if self.is_for_copilot:
            self.copilot_status.update(status)

    def warn(self, message: str, *, unless_client_can: str = "") -> None:
        """Log a warning, and show it to the user, unless the client does so by the status."""
        logger.warning("%s", message)
        if not (unless_client_can and self.client_can(unless_client_can)):
            show_message(self, message, is_warning=True)

    def client_can(self, what: str) -> bool:
        """Whether the client has one of our own capabilities, ``experimental.longllama``."""
        experimental = getattr(self.client_capabilities, "experimental", None)
        ours = experimental.get(SECTION) if isinstance(experimental, dict) else None
        return isinstance(ours, dict) and ours.get(what) is True

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log the type and the place of an error, without values: they may be source code.

        pygls would show a message to the user for every notification that fails.
        """
        cause = sys.exc_info()[1] or error
        # pygls wraps errors in its own and begins the message with the type of the original.
        name = error.message.partition(":")[0] if isinstance(error, JsonRpcException) else ""
        operation = getattr(source, "__name__", source)
        logger.error("%s: %s at %s", operation, name or type(cause).__name__, place_of(cause))


def _is_same_token(given: object, token: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), token.encode())
