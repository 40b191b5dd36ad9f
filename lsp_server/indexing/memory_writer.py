"""Protocol of an engine, as far as indexing needs it."""

from typing import Protocol

from longllama_code.protocol import RememberResult


class MemoryWriter(Protocol):
    """Engine of this machine or of a team, which keeps files in its memory."""

    @property
    def ready(self) -> bool:
        """Whether it takes requests; call ``Indexer.refill`` each time it becomes ready.

        After a request that ended with ``EngineGone``, nothing is asked before that call.
        """
        ...

    @property
    def token_bytes(self) -> int:
        """Bytes of one token's record in memory; 0 before the engine was ready."""
        ...

    @property
    def is_limited(self) -> bool:
        """Whether the memory budget applies; False if the memory is another machine's."""
        ...

    async def remember(self, path: str, text: str, folder: str, /) -> RememberResult:
        """Take a file into memory.

        Args:
            path: name of the file.
            text: its text.
            folder: beginning of the name that tells workspace folders apart; may be empty.
        """
        ...

    async def define(self, texts: dict[str, str]) -> bool:
        """Take in what files define, before they are remembered; return False if it cannot.

        Args:
            texts: name → text of each file.
        """
        ...

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        ...
