"""What users see besides suggestions: messages, progress bars, and the offer of a larger model."""
