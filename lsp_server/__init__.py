"""Language server between editors and the engine process, which alone imports torch."""

from longllama_code import __version__

__all__ = ["__version__"]
