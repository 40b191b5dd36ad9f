"""Fits of a model's copy gate and memory table to source trees."""
