"""System whose answers a test writes, and a person who types fast."""

import asyncio

from lsp_server.benchmarks.systems.system import Answer, Loaded
from lsp_server.benchmarks.typing.rhythm import Rhythm

FAST = Rhythm(slowdown=1e-3)


class WrittenSystem:
    """System that answers what a function of the document and the cursor says."""

    def __init__(self, answer, log=None):
        self._answer, self.log = answer, log if log is not None else []
        self.text, self.file, self.n_cancelled = "", "", 0

    async def open(self, file, text):
        self.file, self.text = file, text
        self.log.append(("open", file))
        return Loaded(files=1, tokens=10, engine="written")

    async def move_cursor(self, offset):
        self.log.append(("cursor", offset))

    async def change(self, start, end, text):
        self.text = self.text[:start] + text + self.text[end:]

    async def complete(self, offset, *, automatic=False):
        assert automatic
        try:
            found = self._answer(self.text, offset)
            if isinstance(found, Exception):
                raise found
            if found is None:  # too slow
                await asyncio.sleep(60)
            return Answer(found)
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise

    async def save_other(self, file, text):
        raise NotImplementedError

    async def close(self):
        self.log.append(("close", self.text))


def perfect(session):
    """Answer with all that is still to be typed."""
    end = len(session.before) + len(session.typed)
    return lambda _text, offset: session.typed[offset - end :] if offset < end else ""
