"""Code generation: LLVM instructions of the innermost loops, which numba inlines."""
