"""What a CPU does most often while one types, compiled: small passes, and memory's search.

torch takes microseconds for each of the small operations that a pass over a few tokens consists of,
and has no product with 8-bit weights that reads them at the speed of RAM. numba compiles these
loops for the CPU at hand once, and keeps the result on disk. Everything is numpy arrays here.
"""
