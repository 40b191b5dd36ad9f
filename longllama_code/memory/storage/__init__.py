"""Encoded segments on disk: records in a mapped file, and a manifest in SQLite."""
