"""The original's evaluations, compared with the published results."""
