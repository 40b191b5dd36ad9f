"""Definitions come first: the engine gets those of all waiting files before the files themselves.

What a file defines is read some twenty times as fast as the file is taken into memory, and a code
model needs nothing else of most files. So suggestions use the whole repository within seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from longllama_code.definitions.languages import is_supported
from longllama_code.source_files.source_text import SourceError
from lsp_server.engine.connection import EngineAway, EngineGone
from lsp_server.indexing.file_table import FileQueue, FileTable, TrackedFile, Urgency
from lsp_server.indexing.memory_writer import MemoryWriter
from lsp_server.indexing.proximity import Rank
from lsp_server.indexing.source_reader import SourceReader

logger = logging.getLogger(__name__)

BATCH_FILES = 16
BATCH_BYTES = 128 * 1024
"""Files and bytes of one request. A change that comes meanwhile waits for no more than these."""
MIN_FILES = 8
"""Number of files up to which none is worth a pass: they are in memory about as soon."""


class DefinitionPass:
    """Queue of the files whose definitions the engine lacks, and names of those that it has.

    Args:
        engine: engine that gets them.
        reader: reader of the files' texts.
    """

    def __init__(self, engine: MemoryWriter, reader: SourceReader) -> None:
        self._engine, self._reader = engine, reader
        self._lacking = FileQueue()
        self._ahead: set[str] = set()
        """Files whose definitions the engine has before they are in memory."""
        self._suspects: set[Path] = set()
        """Files of batches over which the engine died; taken in alone, the culprit is found."""
        self._is_under_way = False

    def __len__(self) -> int:
        return len(self._lacking)

    @property
    def is_due(self) -> bool:
        """Whether a batch should be read before files are taken into memory."""
        return self._is_under_way and len(self) > 0

    def put(self, path: Path, urgency: Urgency) -> None:
        """Queue a file that waits for memory."""
        if path not in self._suspects:
            self._is_under_way &= len(self) > 0
            self._lacking.put(path, urgency)
            self._is_under_way |= len(self) > MIN_FILES

    def sort_rest(self, rank: Callable[[Path], Rank]) -> None:
        """Sort files that nobody opened or changed, those that define something first."""
        self._lacking.sort_rest(lambda path: (not is_supported(path.name), *rank(path)))

    def remembered(self, file: TrackedFile) -> None:
        """Note that a file is in memory, and its definitions with it."""
        self._lacking.discard(file.path)
        self._ahead.discard(file.name)

    def drop(self, file: TrackedFile) -> bool:
        """Take a file off the queue; return whether the engine has its definitions alone."""
        self._lacking.discard(file.path)
        had = file.name in self._ahead
        self._ahead.discard(file.name)
        return had

    def drain(self) -> set[str]:
        """Return the files whose definitions alone the engine has, and take them for gone."""
        ahead, self._ahead = self._ahead, set()
        return ahead

    async def read_next(self, files: FileTable) -> dict[Path, str]:
        """Read the next files, send them to the engine, and return their texts."""
        batch = [*self._next(files)]
        texts = await asyncio.gather(*(self._text_of(file) for file in batch))
        read = {file.path: text for file, text in zip(batch, texts, strict=True) if text}
        await self._define(batch, read)
        return read

    async def _define(self, batch: Iterable[TrackedFile], texts: Mapping[Path, str]) -> None:
        found = {file.name: texts[file.path] for file in batch if file.path in texts}
        try:
            is_taken = await self._engine.define(found)
        except EngineAway:
            return
        except EngineGone:
            self._suspects.update(file.path for file in batch)
            return
        except Exception:
            logger.exception("definitions of %d files could not be read", len(found))
            is_taken = True  # in part, perhaps
        self._ahead |= found.keys() if is_taken else set()

    def _next(self, files: FileTable) -> Iterator[TrackedFile]:
        """Take files off the queue, as many as make one request."""
        n_bytes = 0
        for _ in range(min(BATCH_FILES, len(self))):
            file = files.get(self._lacking.pop()[0])
            assert file is not None, "a file that is dropped leaves the queue too"
            yield file
            n_bytes += file.size_bytes
            if n_bytes >= BATCH_BYTES:
                return

    async def _text_of(self, file: TrackedFile) -> str:
        """Return a file's text; empty if it has none for the model, which its own turn finds."""
        try:
            return await self._reader.read(file.path)
        except SourceError:
            return ""
        except Exception:
            logger.exception("%s could not be read", file.name)
            return ""
