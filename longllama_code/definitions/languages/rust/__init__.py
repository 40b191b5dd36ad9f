"""Rust: what a text says, and which files its paths mean."""
