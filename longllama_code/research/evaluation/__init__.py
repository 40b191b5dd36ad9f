"""Evaluation: the quality of suggestions, and the choice of memory heads."""
