"""Command line of the benchmarks: ``longllama-lsp bench``."""
