"""Code generation: LLVM instructions of the innermost loops, which numba inlines.

A tile is the product of a few rows with a few columns, small enough that all its sums stay in
registers. Each number that is loaded is then used several times, so loops wait for arithmetic and
not for memory.
"""
