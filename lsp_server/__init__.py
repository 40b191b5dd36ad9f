"""The language server, between editors and the engine process. It never imports torch."""

from longllama_code import __version__

__all__ = ["__version__"]
