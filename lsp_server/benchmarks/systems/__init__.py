"""Completion systems that benchmarks compare: this server, and llama.cpp with llama.vscode."""
