"""Kernels over weights in the blocks of a GGUF file, shared between threads."""
