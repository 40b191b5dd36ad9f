"""The server in other people's tests: a pytest plugin that speaks LSP as a chosen editor.

`docs/testing.md` shows it at work. Needs the extra ``testing``.
"""
