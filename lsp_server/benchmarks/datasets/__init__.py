"""Readers of published benchmarks, each of which yields instances of one form."""
