"""GGUF files: what stands before the weights, and the weights where they lie."""
