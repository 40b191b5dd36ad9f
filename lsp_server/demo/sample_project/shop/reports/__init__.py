"""What the owners of the shop want to know."""
