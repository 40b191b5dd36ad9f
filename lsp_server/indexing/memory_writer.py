"""What those who keep files in memory need of the engine."""

from typing import Protocol

from longllama_code.protocol import RememberResult


class Rememberer(Protocol):
    """An engine, this machine's or another's."""

    @property
    def ready(self) -> bool:
        """Whether it can be asked; ``Indexer.refill`` must be called when it can be again."""
        ...

    @property
    def token_bytes(self) -> int:
        """Of the record of one token in memory; 0 before it was ready."""
        ...

    @property
    def is_limited(self) -> bool:
        """Whether the budget counts; not where the memory is another machine's."""
        ...

    async def remember(self, path: str, text: str) -> RememberResult:
        """Take a file into memory."""
        ...

    async def forget(self, paths: list[str]) -> None:
        """Take files out of memory."""
        ...
