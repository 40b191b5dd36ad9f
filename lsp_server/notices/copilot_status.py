"""The status in the words of Copilot's language server, for clients that were written for it."""

from collections.abc import Callable
from typing import Any

from lsp_server.indexing.file_table import Status
from lsp_server.methods import COPILOT_STATUS


class CopilotStatus:
    """Sends a status that says something new: clients may show a message for each."""

    def __init__(self, notify: Callable[[str, Any], None]) -> None:
        self._notify = notify
        self._sent: tuple[object, ...] | None = None

    def update(self, status: Status) -> None:
        """Send a status, unless nothing but the progress of work has changed."""
        news = (status.kind, status.busy, None if status.busy else status.message)
        if news == self._sent:
            return
        self._sent = news
        said = {"kind": status.kind, "busy": status.busy, "message": status.message}
        self._notify(COPILOT_STATUS, said)
