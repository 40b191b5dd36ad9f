"""Run ``longllama-lsp`` as ``python -m lsp_server``."""

import sys

from lsp_server.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
