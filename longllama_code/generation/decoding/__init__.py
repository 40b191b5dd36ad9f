"""Decoding: the tokens of a suggestion, one by one, to its end."""
