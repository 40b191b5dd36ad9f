"""Definitions and imports of a repository, and the definitions that a cursor needs."""
