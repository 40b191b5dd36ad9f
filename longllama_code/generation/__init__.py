"""Generation: from a cursor to a suggestion."""
