"""Repository memory: segments, their encoding, their store, and what attention sees of them."""
