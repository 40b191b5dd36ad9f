"""Reader of Python, also of code that is being written, and resolution of its imports."""
