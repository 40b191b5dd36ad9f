"""``python -m lsp_server.engine_process``: the engine's process, by the name that it always had."""

from lsp_server.engine.process.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
