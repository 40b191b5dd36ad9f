"""Model folders for GGUF files that lie elsewhere."""
