"""LongLLaMA Code: a Llama whose memory layers attend to a whole repository.

``__all__`` is the public API, which docs/python.md describes; everything else may change between
versions. Its names are loaded when they are first used, so importing the package imports no torch.

This package knows models, memory and text; it knows no editor, no LSP and no event loop.

Shapes, everywhere: ``B`` batch, ``H`` query heads, ``G`` key-value heads, ``S`` queries,
``L`` local keys, ``M`` memory length, ``D`` head size, ``E`` hidden, ``V`` vocabulary.
Source of the method: Focused Transformer (arXiv 2307.03170).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longllama_code.config import LongLlamaConfig
    from longllama_code.engine_options import EngineOptions
    from longllama_code.errors import LongLlamaError
    from longllama_code.generation.engine import Engine
    from longllama_code.model.modeling import LongLlamaForCausalLM, LongLlamaModel
    from longllama_code.protocol import CompletionRequest, CompletionResult

__version__ = "0.2.0"

__all__ = [
    "CompletionRequest",
    "CompletionResult",
    "Engine",
    "EngineOptions",
    "LongLlamaConfig",
    "LongLlamaError",
    "LongLlamaForCausalLM",
    "LongLlamaModel",
    "__version__",
]

_MODULES = {
    "CompletionRequest": "protocol",
    "CompletionResult": "protocol",
    "Engine": "generation.engine",
    "EngineOptions": "engine_options",
    "LongLlamaConfig": "config",
    "LongLlamaError": "errors",
    "LongLlamaForCausalLM": "model.modeling",
    "LongLlamaModel": "model.modeling",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
