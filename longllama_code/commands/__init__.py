"""What each command of ``longllama`` takes and does; `__main__` puts them together."""
