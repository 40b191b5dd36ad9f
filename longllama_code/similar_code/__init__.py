"""Chunks of a repository's files that resemble the text before a cursor."""
