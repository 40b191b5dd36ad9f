"""The language server: editors on one side, the engine process on the other. Never imports torch."""

from longllama_code import __version__

__all__ = ["__version__"]
