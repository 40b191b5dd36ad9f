"""Weight matrices for kernels: quantized in tiles, in rows, or in blocks of GGUF files."""
