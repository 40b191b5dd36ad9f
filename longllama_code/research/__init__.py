"""Datasets, training and evaluation: what a user of the server never imports."""
