"""Segments: a file cut at its definitions, and each piece encoded."""
