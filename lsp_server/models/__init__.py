"""Models that are fetched on the user's word, and when a larger one is worth it."""
