"""Completion and loss of held-out files under several conditions."""
