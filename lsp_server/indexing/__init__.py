"""Indexing: which files come into memory, in which order, and when they are read again."""
