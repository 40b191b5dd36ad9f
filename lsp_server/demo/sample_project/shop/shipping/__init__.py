"""How goods reach customers."""
