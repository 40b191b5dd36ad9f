"""Text of a file for the model: the live text of an open document, else the file's on disk."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from longllama_code.source_files.model_text import model_text
from longllama_code.source_files.source_text import (
    Limits,
    read_source,
    refuse_live_text,
    refuse_secrets,
)


class SourceReader:
    """Reads texts and scans them for secrets, on threads.

    Args:
        open_text: returns the live text of a file if it is open.
        refuse_in_file: raises ``SourceError`` if a text from disk holds a secret; may cache.
    """

    def __init__(
        self,
        open_text: Callable[[Path], str | None],
        refuse_in_file: Callable[[Path, str], None],
    ) -> None:
        self.limits = Limits()
        self._open_text, self._refuse_in_file = open_text, refuse_in_file

    def is_open(self, path: Path) -> bool:
        """Whether a file is open in the editor."""
        return self._open_text(path) is not None

    def has_open_text(self, path: Path) -> bool:
        """Whether a file is open in the editor, and not empty there."""
        return bool(self._open_text(path))

    async def read(self, path: Path) -> str:
        """Return the text of a file.

        Raises:
            SourceError: it is not a source file, exceeds a limit, or holds a secret.
        """
        text = self._open_text(path)
        if text is None:
            text = await asyncio.to_thread(self._read_file, path)
        else:
            await asyncio.to_thread(self._check_live_text, path, text)
        return model_text(text)

    def _check_live_text(self, path: Path, text: str) -> None:
        refuse_live_text(path, text, self.limits)
        refuse_secrets(path, text)  # uncached: the live text may change again soon

    def _read_file(self, path: Path) -> str:
        text = read_source(path, self.limits)
        self._refuse_in_file(path, text)
        return text
