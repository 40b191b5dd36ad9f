"""``python -m lsp_server.engine_process``: stable name of the engine process's module."""

from lsp_server.engine.process.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
