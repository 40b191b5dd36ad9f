"""Checkpoints: folders and files of weights, loaded as models. None of their code is run."""
