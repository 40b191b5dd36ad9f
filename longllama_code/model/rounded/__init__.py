"""Linear layers whose weights are rounded to a few bits."""
