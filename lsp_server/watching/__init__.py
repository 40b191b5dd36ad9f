"""Workspace folders, and the watching of their files and of git's rules outside of them."""
