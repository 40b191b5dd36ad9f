"""The names that a file defines and uses, in each language."""
