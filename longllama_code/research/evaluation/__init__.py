"""Evaluation: whether a suggestion got better, and which heads make it so."""
