"""Decorators that compile kernels."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function for this CPU at its first call, to run without Python's global lock.

    Floats are summed in the order of the code, so a row's result does not depend on its batch.
    """
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def loose_kernel(function: F) -> F:
    """Compile a function with sums in the fastest order, which is the same at every call."""
    return cast("F", numba.njit(cache=True, nogil=True, fastmath=True)(function))
