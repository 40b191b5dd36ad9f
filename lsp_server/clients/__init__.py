"""Clients without an editor: one asks the real server; recordings of editors are played again."""
