"""Weave several matrices in one call, for which Python's lock is needed once and not for each."""

from collections.abc import Sequence

import numpy as np
from numba.np.numpy_support import carray

from longllama_code.kernels.block_products import Bytes
from longllama_code.kernels.codegen.block_levels import KINDS
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.matrices.blocks import BlockRows
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.sharing.atomics import pointer
from longllama_code.kernels.sharing.shared_work import Numbers
from longllama_code.kernels.weaving import shape_of_woven, weave
from longllama_code.mapped_pages import drop

# Columns of a table: kind, address and shape of the blocks, and of what is woven.
KIND, BLOCKS, ROWS, ROW_BYTES, WOVEN, PANELS, PANEL_BYTES, N_COLUMNS = range(8)


def weave_together(parts: Sequence[BlockRows], room: Room) -> list[Bytes]:
    """Return the weights of each part as panels; see ``blocks.weave_rows``."""
    table, woven = np.zeros((len(parts), N_COLUMNS), np.int64), list[Bytes]()
    for row, part in zip(table, parts, strict=True):
        kind = KINDS[part.kind]
        array = room.zeros(shape_of_woven(kind, *part.blocks.shape))
        woven.append(array)
        row[[KIND, BLOCKS, WOVEN]] = kind, part.blocks.ctypes.data, array.ctypes.data
        row[[ROWS, ROW_BYTES]], row[[PANELS, PANEL_BYTES]] = part.blocks.shape, array.shape
    _weave_all(table)
    for part in parts:
        drop(part.blocks)
    return woven


@kernel
def _weave_all(table: Numbers) -> None:
    for i in range(table.shape[0]):
        blocks = carray(pointer(table[i, BLOCKS]), (table[i, ROWS], table[i, ROW_BYTES]), np.uint8)
        shape = table[i, PANELS], table[i, PANEL_BYTES]
        weave(table[i, KIND], blocks, carray(pointer(table[i, WOVEN]), shape, np.uint8))
