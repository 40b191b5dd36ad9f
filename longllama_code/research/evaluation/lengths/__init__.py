"""Evaluations by size of memory or context."""
