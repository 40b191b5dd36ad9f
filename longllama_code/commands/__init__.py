"""Commands of ``longllama``, which `__main__` registers."""
