"""The commands of ``longllama-lsp``: a client without an editor, and what the terminal shows."""
