"""The engine's process: the only part of the server that imports torch."""
