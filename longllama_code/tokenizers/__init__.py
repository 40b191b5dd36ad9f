"""Tokenizers: text to token ids and back, from every kind of file that defines one."""
