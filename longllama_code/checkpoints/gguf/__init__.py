"""GGUF files: header, configuration, and weights where they lie."""
