"""Pages, by subject; each class adds its routes."""
