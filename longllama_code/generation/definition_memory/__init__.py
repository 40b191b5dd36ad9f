"""Definitions as memory: each is encoded once, kept on disk, and placed before any prompt."""
