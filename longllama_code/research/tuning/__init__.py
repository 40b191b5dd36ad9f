"""Tuning of a code model for definitions as memory (FoT): low-rank updates, distillation."""
