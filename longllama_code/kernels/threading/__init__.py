"""Threads that share a kernel's work."""
