"""What a model reads before it writes: the text at the cursor, and excerpts of other files."""
