"""The client of a session that has no language client: what is said to the user is printed."""

import sys

from lsp_server.indexing.file_table import Phase, Status


class Console:
    """Prints warnings, and each phase of the status once, on stderr."""

    def __init__(self) -> None:
        self._printed: set[Phase] = set()

    def status_changed(self, status: Status) -> None:
        """Print the message of a phase that was not there before."""
        if status.phase not in self._printed:
            self._printed.add(status.phase)
            _print(status.message)

    def warn(self, message: str, *, unless_client_can: str = "") -> None:
        """Print a problem."""
        _print(message)


def _print(text: str) -> None:
    print(f"longllama-lsp: {text}", file=sys.stderr, flush=True)
