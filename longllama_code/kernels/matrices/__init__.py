"""Weight matrices as kernels multiply them: rounded, row by row, in blocks of GGUF files."""
