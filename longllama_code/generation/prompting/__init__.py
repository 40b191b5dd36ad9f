"""Prompts: the text at the cursor, and excerpts of other files."""
