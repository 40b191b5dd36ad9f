"""What the server does for each family of LSP messages: decode, ask the session, encode."""
