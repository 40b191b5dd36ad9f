"""Checkpoints: a folder or a file of weights, loaded as a model. Nothing in it is executed."""
