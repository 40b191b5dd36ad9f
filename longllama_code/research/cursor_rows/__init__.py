"""Rows for the tuning of definitions as memory: cursors, what follows, and definitions."""
