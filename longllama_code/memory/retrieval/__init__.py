"""Retrieval: the rows of memory that a query attends to, and matches of a context in memory."""
