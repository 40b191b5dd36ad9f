"""The demo: lines whose end stands in another file, typed and completed in the terminal."""
