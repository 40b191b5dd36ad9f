"""Settings: declarations, the layers that set them, and files generated from them."""
