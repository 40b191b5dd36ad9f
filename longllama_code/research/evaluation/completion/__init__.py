"""Lines of held-out files completed, and their loss, by what the model was shown."""
