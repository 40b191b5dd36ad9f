"""Handlers of LSP messages, one module a family; ``table`` lists and registers them all.

A handler decodes parameters, calls the session, and encodes the result.
"""
