"""The transformer on a CPU by compiled kernels."""
