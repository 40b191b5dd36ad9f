"""How customers pay, and get money back."""
