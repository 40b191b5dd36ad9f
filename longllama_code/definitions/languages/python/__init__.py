"""Python: what a text says, also while it is being written, and which files its imports mean."""
