"""Suggestions: from a cursor to a request of the engine, and from its answer to what is shown."""
