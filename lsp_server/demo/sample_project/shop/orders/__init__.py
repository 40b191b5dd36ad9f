"""Orders, from checkout to delivery and return."""
