"""Workspaces without the answers of a benchmark, and checks that no answer is left anywhere."""
