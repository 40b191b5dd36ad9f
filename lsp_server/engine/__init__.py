"""The server's side of the engine: which one, how it is started or joined, what is asked of it."""
