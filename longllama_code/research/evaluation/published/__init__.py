"""The original's evaluations, beside what was published of them."""
