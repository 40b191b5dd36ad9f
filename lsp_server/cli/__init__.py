"""Commands of ``longllama-lsp``, one module each; ``main`` lists them."""
