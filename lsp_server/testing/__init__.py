"""Pytest plugin for other projects: fixtures that talk to the server as a chosen editor does.

Described in `docs/testing.md`. Needs the extra ``testing``.
"""
