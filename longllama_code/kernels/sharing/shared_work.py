"""Products with blocks, attention and gates, shared between threads that wait by spinning.

Such work takes 0.1 to 2 ms for one token, and waking a thread by the system takes 0.1 ms. So
threads poll a board for the next work, and sleep after some time without any.

    1. The caller writes the work's description (addresses, shapes) on the board, then the number of
       shares into ``LEFT``, which makes them available.
    2. Every thread that polls the board, and the caller, takes shares by decrementing ``LEFT``
       atomically, and adds 1 to ``DONE`` after each share.
    3. The caller returns when ``DONE`` equals the number of shares.

Nobody waits for a thread that sleeps or is not scheduled, since it takes no share.
"""

from typing import Any

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from longllama_code.kernels.attention import attend_tiles, count_tiles
from longllama_code.kernels.block_products import multiply_row, multiply_rows, round_to_words
from longllama_code.kernels.byte_products import Rounded, multiply_panels, round_to_bytes
from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.block_tiles import PAIR
from longllama_code.kernels.codegen.compiling import Callback, kernel
from longllama_code.kernels.codegen.panels import OUTPUTS as PANEL
from longllama_code.kernels.codegen.vectors import HAS_BYTE_DOTS, LANES
from longllama_code.kernels.layer import gate
from longllama_code.kernels.products import Floats, Steps
from longllama_code.kernels.sharing.atomics import add, call, pause, pointer, read, write

Numbers = NDArray[np.int64]

f32 = np.float32

# Columns of a table: kind, address of the weights, their rows and the bytes of a row, the outputs,
# which are as many as the rows unless the weights are woven, and those of the parts before.
KIND, ADDRESS, ROWS, ROW_BYTES, OUTPUTS, FIRST, N_COLUMNS = range(7)

LEAST_PRODUCTS, LEAST_OUTPUTS, SHARES = 1 << 17, PANEL if HAS_BYTE_DOTS else 16, 4
"""Least products of numbers in a share, least outputs in a share, and number of shares for each
thread: several, so that none waits long for the last one."""
PRODUCTS_OF_GATE = 64
"""Products that take as long as one output of a gate."""
MOST_PRODUCTS = 1 << 20
"""Most products of a share for each row: 0.2 ms, the longest wait for another's last share."""

# Indices of a board. Fields that threads write are in cache lines of their own.
LEFT, DONE, TAKING, OTHERS, COMING, FIELDS = 0, 16, 29, 30, 31, 32
"""Shares that are left; shares that are done; address of what takes them; number of threads besides
the caller; whether work is coming; first field of the work's description."""
_WORK, _SHARES, _ROWS, _SIZE = range(FIELDS, FIELDS + 4)
_PRODUCT, _ATTENTION, _GATE = range(3)
"""Kinds of work."""
_STEPS, _UNITS, _SUMS, _OUTPUTS, _TABLE, _PARTS, _UNIT_COLUMNS, _SUM_COLUMNS, _COLUMNS = range(
    _SIZE + 1, _SIZE + 10
)
_QUERIES, _KEYS, _VALUES, _MIXED, _TOTALS, _HEADS, _GROUPS, _ROOM, _BEFORE = range(
    _SIZE + 1, _SIZE + 10
)
_BOUNDS, _MASSES, _SEGMENTS = range(_SIZE + 10, _SIZE + 13)
SLEEPERS = 48
"""First of the flags, one for each other thread, that tell whether it sleeps."""


@kernel
def multiply_shared(board: Numbers, table: Numbers, inputs: Floats, outputs: Floats) -> None:
    """Multiply inputs (S, K) with the transpose of weights in several parts, into (S, N).

    Args:
        board: board that no other caller uses during the call.
        table: (parts, ``N_COLUMNS``), see the names of its columns.
        inputs: (S, K).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    n_chunks = size // CHUNK
    if HAS_BYTE_DOTS:  # the other branch is not compiled
        steps, units = np.empty((n_rows, size), np.int8), np.empty((n_rows, n_chunks), f32)
        sums = np.empty((n_rows, 2 * n_chunks), np.int32)
        round_to_bytes(inputs, steps, units, sums)
    else:
        steps, units = np.empty((n_rows, size), np.int16), np.empty((n_rows, 1), f32)
        sums = np.empty((n_rows, -(-n_chunks // LANES) * LANES), f32)
        round_to_words(inputs, steps, units, sums)
    # A function of its own: numba frees these arrays after the last line that names them, and
    # threads read them by address.
    _multiply_rounded(board, table, steps, units, sums, outputs)


@kernel
def _multiply_rounded(
    board: Numbers,
    table: Numbers,
    steps: NDArray[Any],
    units: Floats,
    sums: NDArray[Any],
    outputs: Floats,
) -> None:
    n_rows, size = steps.shape
    board[_WORK], board[_ROWS], board[_SIZE] = _PRODUCT, n_rows, size
    board[_STEPS], board[_UNITS] = steps.ctypes.data, units.ctypes.data
    board[_SUMS], board[_OUTPUTS] = sums.ctypes.data, outputs.ctypes.data
    board[_TABLE], board[_PARTS] = table.ctypes.data, table.shape[0]
    board[_UNIT_COLUMNS], board[_SUM_COLUMNS] = units.shape[1], sums.shape[1]
    board[_COLUMNS] = outputs.shape[1]
    _share(board, n_rows, size * outputs.shape[1], outputs.shape[1] // LEAST_OUTPUTS)


@kernel
def attend_shared(
    board: Numbers,
    queries: Floats,
    keys: Floats,
    values: Floats,
    n_before: int,
    mixed: Floats,
    totals: Floats,
    bounds: Numbers,
    masses: Floats,
) -> None:
    """Run ``attend`` with several threads.

    Args:
        board: board that no other caller uses during the call.
        queries: see ``attend``.
        keys: see ``attend``.
        values: see ``attend``.
        n_before: see ``attend``.
        mixed: see ``attend``, written.
        totals: see ``attend``, written.
        bounds: see ``attend``.
        masses: see ``attend``, written.
    """
    n_heads, n_rows, size = queries.shape
    board[_WORK], board[_ROWS], board[_SIZE] = _ATTENTION, n_rows, size
    board[_QUERIES], board[_KEYS] = queries.ctypes.data, keys.ctypes.data
    board[_VALUES], board[_MIXED] = values.ctypes.data, mixed.ctypes.data
    board[_TOTALS], board[_HEADS], board[_GROUPS] = totals.ctypes.data, n_heads, keys.shape[0]
    board[_ROOM], board[_BEFORE] = keys.shape[1], n_before
    board[_BOUNDS], board[_MASSES] = bounds.ctypes.data, masses.ctypes.data
    board[_SEGMENTS] = masses.shape[2]
    of_row = 2 * n_heads * size * (n_before + n_rows)
    _share(board, n_rows, of_row, count_tiles(n_heads, n_rows, keys.shape[0]))


@kernel
def gate_shared(board: Numbers, both: Floats, gated: Floats) -> None:
    """Run ``gate`` with several threads.

    Args:
        board: board that no other caller uses during the call.
        both: see ``gate``.
        gated: see ``gate``, written.
    """
    n_rows, size = gated.shape
    board[_WORK], board[_ROWS], board[_SIZE] = _GATE, n_rows, size
    board[_STEPS], board[_OUTPUTS] = both.ctypes.data, gated.ctypes.data
    _share(board, n_rows, size * PRODUCTS_OF_GATE, n_rows)


@kernel
def serve(board: Numbers, number: int, n_looks: int) -> None:
    """Take shares of work; return after ``n_looks`` polls without any work.

    Args:
        board: board of the callers of ``multiply_shared`` and ``attend_shared``.
        number: index of this thread, whose flag is set at the end, before it sleeps.
        n_looks: number of polls.
    """
    look = 0
    while look < n_looks:
        if read(board, LEFT) > 0:
            call(board[TAKING], board.ctypes.data)
            look = 0
        else:
            pause()
            look = 0 if read(board, COMING) else look + 1
    write(board, SLEEPERS + number, 1)


@kernel
def _share(board: Numbers, n_rows: int, of_row: int, most: int) -> None:
    """Split the work on the board into shares, and wait until they are done.

    Args:
        board: board with the work's description.
        n_rows: rows of the work.
        of_row: products of numbers in a row.
        most: most shares, so that none is too small.
    """
    n_threads = 1 + board[OTHERS]
    n_shares = 1
    if n_threads > 1:
        wanted = max(SHARES * n_threads, of_row // MOST_PRODUCTS)
        n_shares = max(1, min(wanted, most, n_rows * of_row // LEAST_PRODUCTS))
    board[_SHARES] = n_shares
    write(board, DONE, 0)
    write(board, LEFT, n_shares)
    call(board[TAKING], board.ctypes.data)
    while read(board, DONE) < n_shares:
        pause()


def _take_shares(address: int) -> None:
    """Take shares of the work on the board at an address, until none is left."""
    board = carray(pointer(address), (SLEEPERS,), np.int64)
    while read(board, LEFT) > 0:
        left = add(board, LEFT, -1)
        # A positive number means a share of the current work: the description on the board does
        # not change until all its shares are done.
        if left > 0:
            if board[_WORK] == _ATTENTION:
                _attend_share(board, left - 1)
            elif board[_WORK] == _GATE:
                _gate_share(board, left - 1)
            else:
                _multiply_share(board, left - 1)
            add(board, DONE, 1)


take_shares = Callback(_take_shares)
"""What boards have at ``TAKING``: by its address, as it has nearly all code of a layer in it."""


@kernel
def _multiply_share(board: Numbers, share: int) -> None:
    """Compute the outputs of one share, part by part."""
    n_rows = board[_ROWS]
    units = carray(pointer(board[_UNITS]), (n_rows, board[_UNIT_COLUMNS]), f32)
    outputs = carray(pointer(board[_OUTPUTS]), (n_rows, board[_COLUMNS]), f32)
    table = carray(pointer(board[_TABLE]), (board[_PARTS], N_COLUMNS), np.int64)
    of_steps, of_sums = (n_rows, board[_SIZE]), (n_rows, board[_SUM_COLUMNS])
    if HAS_BYTE_DOTS:
        steps = carray(pointer(board[_STEPS]), of_steps, np.int8)
        sums = carray(pointer(board[_SUMS]), of_sums, np.int32)
        _multiply_woven(table, share, board[_SHARES], (steps, units, sums), outputs)
    else:
        steps = carray(pointer(board[_STEPS]), of_steps, np.int16)
        sums = carray(pointer(board[_SUMS]), of_sums, f32)
        _multiply_blocks(table, share, board[_SHARES], steps, units, sums, outputs)


@kernel
def _multiply_woven(
    table: Numbers, share: int, n_shares: int, rounded: Rounded, outputs: Floats
) -> None:
    """Compute the panels of one share."""
    n_panels = 0
    for part in range(table.shape[0]):
        n_panels += table[part, ROWS]
    start, stop = n_panels * share // n_shares, n_panels * (share + 1) // n_shares
    begin = 0
    for part in range(table.shape[0]):
        size = table[part, ROWS]
        first, end = max(start, begin) - begin, min(stop, begin + size) - begin
        if end > first:
            panels = carray(pointer(table[part, ADDRESS]), (size, table[part, ROW_BYTES]), np.uint8)
            kind, n_outputs = table[part, KIND], table[part, OUTPUTS]
            column = table[part, FIRST]
            multiply_panels(kind, rounded, panels, n_outputs, first, end, outputs, column)
        begin += size


@kernel
def _multiply_blocks(
    table: Numbers,
    share: int,
    n_shares: int,
    steps: Steps,
    units: Floats,
    sums: Floats,
    outputs: Floats,
) -> None:
    """Compute the outputs of one share."""
    n_rows, n_outputs = outputs.shape
    start, stop = n_outputs * share // n_shares, n_outputs * (share + 1) // n_shares
    begin = 0
    for part in range(table.shape[0]):
        kind, size = table[part, KIND], table[part, ROWS]
        blocks = carray(pointer(table[part, ADDRESS]), (size, table[part, ROW_BYTES]), np.uint8)
        low, high = max(start, begin), min(stop, begin + size)
        first, end = low - begin, high - begin
        if end - first >= PAIR and n_rows > 1:
            multiply_rows(kind, steps, units, sums, blocks, first, end, outputs, low)
        elif end > first:
            for row in range(n_rows):
                only = slice(row, row + 1)
                known = steps[only], units[only], sums[only], blocks, first, end
                multiply_row(kind, *known, outputs[only], low)
        begin += size


@kernel
def _gate_share(board: Numbers, share: int) -> None:
    """Gate the rows of one share."""
    n_rows, size, n_shares = board[_ROWS], board[_SIZE], board[_SHARES]
    both = carray(pointer(board[_STEPS]), (n_rows, 2 * size), f32)
    gated = carray(pointer(board[_OUTPUTS]), (n_rows, size), f32)
    first, end = n_rows * share // n_shares, n_rows * (share + 1) // n_shares
    gate(both[first:end], gated[first:end])


@kernel
def _attend_share(board: Numbers, share: int) -> None:
    """Compute the tiles of queries of one share."""
    n_heads, n_rows, size = board[_HEADS], board[_ROWS], board[_SIZE]
    n_groups, n_shares = board[_GROUPS], board[_SHARES]
    of_keys = n_groups, board[_ROOM], size
    queries = carray(pointer(board[_QUERIES]), (n_heads, n_rows, size), np.float32)
    keys = carray(pointer(board[_KEYS]), of_keys, np.float32)
    values = carray(pointer(board[_VALUES]), of_keys, np.float32)
    mixed = carray(pointer(board[_MIXED]), (n_rows, n_heads * size), np.float32)
    totals = carray(pointer(board[_TOTALS]), (n_rows, n_heads), np.float32)
    n_tiles = count_tiles(n_heads, n_rows, n_groups)
    first, end = n_tiles * share // n_shares, n_tiles * (share + 1) // n_shares
    n_segments = board[_SEGMENTS]
    bounds = carray(pointer(board[_BOUNDS]), (n_segments + 1 if n_segments else 0,), np.int64)
    of_masses = n_rows if n_segments else 0, n_heads, n_segments
    masses = carray(pointer(board[_MASSES]), of_masses, np.float32)
    attend_tiles(queries, keys, values, board[_BEFORE], first, end, mixed, totals, bounds, masses)
