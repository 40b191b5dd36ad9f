"""Suggestions: from the cursor to a request of the engine, and from its answer to shown text."""
