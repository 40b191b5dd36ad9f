"""Sharing of work between threads: the products and attention of a decoder layer."""
