"""Retrieval: which rows of memory a query attends to, and where a context stands in it."""
