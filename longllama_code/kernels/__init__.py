"""Compiled kernels for a CPU: passes over a few tokens, and the search of memory.

torch takes microseconds for each of the small operations in a pass over a few tokens, and has no
product with 8-bit weights that reads them at the speed of RAM. numba compiles these loops once for
the CPU at hand, and stores the result on disk. All data here is in numpy arrays.
"""
