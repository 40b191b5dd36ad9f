"""Benchmarks that ask once for the text at a cursor, and score the answer."""
