"""Advice to the system about the pages of mapped files."""

import ctypes
import mmap
import sys
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


def drop(array: NDArray[Any]) -> None:
    """Have the system drop the pages of an array in a mapped file; they are read again if needed.

    Nothing happens to other arrays, whose numbers would be lost.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.mode == "r":
            advise((array.ctypes.data, array.nbytes), "MADV_DONTNEED")
            return
        base = base.base


def advise(span: tuple[int, int], advice: str) -> None:
    """Tell the system that pages of a mapped file are needed soon, or not again.

    Args:
        span: the address of the first byte, and the number of bytes.
        advice: what ``madvise`` calls it.
    """
    if sys.platform != "linux":  # the constant differs between systems
        return
    page, (start, n_bytes) = mmap.PAGESIZE, span
    first = -(-start // page) * page
    last = (start + n_bytes) // page * page
    if last > first:
        _LIBC.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), getattr(mmap, advice))


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else cast("Any", None)
