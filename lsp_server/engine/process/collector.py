"""Garbage collector of Python, off while modules are imported and a model is loaded."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Generator[None]:
    """Turn the collector off; afterwards, leave out what exists by then from its later passes.

    An import makes half a million objects that stay, and the collector goes through all of them
    again and again meanwhile: 0.2 s of an engine's start, and more on a busy machine. The same
    objects would make each later pass through everything a pause while somebody types.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
