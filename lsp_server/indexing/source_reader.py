"""What a file holds for the model: its live text where it is open, else the disk's."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from longllama_code.source_files.model_text import model_text
from longllama_code.source_files.workspace import Limits, read_source, refuse_secrets


class SourceTexts:
    """Reads and searches texts, on threads.

    Args:
        open_text: the live text of a file, if it is open.
        refuse_in_file: raises where a text of the disk holds a secret; it may know the text.
    """

    def __init__(
        self,
        open_text: Callable[[Path], str | None],
        refuse_in_file: Callable[[Path, str], None],
    ) -> None:
        self.limits = Limits()
        self._open_text, self._refuse_in_file = open_text, refuse_in_file

    def is_open(self, path: Path) -> bool:
        """Whether a file's live text counts."""
        return self._open_text(path) is not None

    def is_written(self, path: Path) -> bool:
        """Whether a file is open, and not empty."""
        return bool(self._open_text(path))

    async def of(self, path: Path) -> str:
        """The text of a file.

        Raises:
            SourceError: it is no source, or there is a secret in it.
        """
        text = self._open_text(path)
        if text is None:
            text = await asyncio.to_thread(self._read, path)
        else:  # not by what is kept for the next start: it may be another text soon
            await asyncio.to_thread(refuse_secrets, path, text)
        return model_text(text)

    def _read(self, path: Path) -> str:
        text = read_source(path, self.limits)
        self._refuse_in_file(path, text)
        return text
