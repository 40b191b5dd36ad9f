"""How kernels are compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compiled for this CPU when first called; other threads run meanwhile.

    Floats are summed in the order written, so a row of a batch is computed as it is alone.
    """
    return cast("F", numba.njit(cache=True, nogil=True)(function))


def loose_kernel(function: F) -> F:
    """The same, with sums in whatever order is fastest; the order is the same at every call."""
    return cast("F", numba.njit(cache=True, nogil=True, fastmath=True)(function))
