"""Somebody else's git repositories: found or fetched, and read without running what they name."""
