"""Settings: each one declared once, read from all who have a say, and what is generated of them."""
