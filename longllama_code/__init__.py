"""LongLLaMA Code: a Llama whose memory layers attend to a whole repository.

This package knows models, memory and text; it knows no editor, no LSP and no event loop.

Shapes, everywhere: ``B`` batch, ``H`` query heads, ``G`` key-value heads, ``S`` queries,
``L`` local keys, ``M`` memory length, ``D`` head size, ``E`` hidden, ``V`` vocabulary.
Source of the method: Focused Transformer (arXiv 2307.03170).
"""

__version__ = "0.1.0"
