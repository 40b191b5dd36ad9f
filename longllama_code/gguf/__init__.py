"""GGUF files: their headers, and their weights, mapped into memory."""
