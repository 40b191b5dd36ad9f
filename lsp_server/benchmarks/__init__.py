"""Benchmarks of others, asked of the real server as an editor would ask it."""
