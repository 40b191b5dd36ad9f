"""Weave several matrices in one call, for which Python's lock is needed once and not for each."""

from collections.abc import Sequence

import numpy as np
from numba.np.numpy_support import carray

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.sharing.atomics import pointer
from longllama_code.kernels.sharing.shared_work import Numbers
from longllama_code.kernels.weaving import shape_of_woven, weave
from longllama_code.mapped_pages import drop

# Columns of a table: kind, address and shape of the blocks, and of what is woven.
KIND, BLOCKS, ROWS, ROW_BYTES, WOVEN, PANELS, PANEL_BYTES, N_COLUMNS = range(8)


def weave_together(parts: Sequence[tuple[int, Bytes]], room: Room) -> list[Bytes]:
    """Return weights as panels; those in the file are not needed in memory afterwards.

    Args:
        parts: kind of the blocks of each matrix, and its blocks (N, bytes of a row), contiguous.
        room: takes the panels.
    """
    table, woven = np.zeros((len(parts), N_COLUMNS), np.int64), list[Bytes]()
    for row, (kind, blocks) in zip(table, parts, strict=True):
        array = room.zeros(shape_of_woven(kind, *blocks.shape))
        woven.append(array)
        row[[KIND, BLOCKS, WOVEN]] = kind, blocks.ctypes.data, array.ctypes.data
        row[[ROWS, ROW_BYTES]], row[[PANELS, PANEL_BYTES]] = blocks.shape, array.shape
    _weave_all(table)
    for _, blocks in parts:
        drop(blocks)
    return woven


@kernel
def _weave_all(table: Numbers) -> None:
    for i in range(table.shape[0]):
        blocks = carray(pointer(table[i, BLOCKS]), (table[i, ROWS], table[i, ROW_BYTES]), np.uint8)
        shape = table[i, PANELS], table[i, PANEL_BYTES]
        weave(table[i, KIND], blocks, carray(pointer(table[i, WOVEN]), shape, np.uint8))
