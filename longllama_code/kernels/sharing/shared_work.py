"""Products with blocks, and attention, shared between threads that wait for them in a loop.

Such a piece of work for one token takes from 0.1 to 2 ms, and waking a thread by the system 0.1 ms.
So threads wait for the next one by looking at a board until none has come for a while, then they
sleep.

The board says what is to be done, in shares. Whoever is free takes the next share, the caller too:
a thread that sleeps, or that the system does not let run, is not waited for.
"""

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from longllama_code.kernels.attention import attend_tiles, count_tiles
from longllama_code.kernels.block_products import multiply_row, multiply_rows, round_in_order
from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.block_tiles import PAIR
from longllama_code.kernels.codegen.compiling import kernel
from longllama_code.kernels.codegen.vectors import LANES
from longllama_code.kernels.products import Floats, Steps
from longllama_code.kernels.sharing.atomics import add, pause, pointer, read, write

Numbers = NDArray[np.int64]

LEAST_PRODUCTS, LEAST_OUTPUTS, SHARES = 1 << 17, 16, 4
"""Of a share, products of numbers, and outputs; shares for each thread, that none waits long."""
MOST_PRODUCTS = 1 << 20
"""Of a share, for each row: 0.2 ms, the longest that one thread waits for another's last share."""

# Places on a board. What threads write is apart from the rest, in cache lines of its own.
LEFT, DONE, OTHERS, COMING, FIELDS = 0, 16, 30, 31, 32
"""Shares that nobody has taken; that are done; threads beside the caller's; whether work comes;
what is to be done."""
_IS_ATTENTION, _SHARES, _ROWS, _SIZE = range(FIELDS, FIELDS + 4)
_STEPS, _UNITS, _SUMS, _OUTPUTS, _TABLE, _PARTS, _CHUNKS, _COLUMNS = range(_SIZE + 1, _SIZE + 9)
_QUERIES, _KEYS, _VALUES, _MIXED, _TOTALS, _HEADS, _GROUPS, _ROOM, _BEFORE = range(
    _SIZE + 1, _SIZE + 10
)
SLEEPERS = 48
"""From here on, of each other thread: whether it sleeps."""


@kernel
def multiply_shared(board: Numbers, table: Numbers, inputs: Floats, outputs: Floats) -> None:
    """(S, K) times the transpose of weights in some parts, behind each other, into (S, N).

    Args:
        board: of the caller alone, for the time of the call.
        table: (parts, 4): the kind of each, the address of its blocks, its rows, bytes of a row.
        inputs: (S, K).
        outputs: (S, N), written.
    """
    n_rows, size = inputs.shape
    n_chunks = -(-size // (CHUNK * LANES)) * LANES
    steps, units = np.empty((n_rows, size), np.int16), np.empty(n_rows, np.float32)
    sums = np.empty((n_rows, n_chunks), np.float32)
    round_in_order(inputs, steps, units, sums)
    # A function of its own, as what is made here lives until the last line that names it.
    _multiply_rounded(board, table, steps, units, sums, outputs)


@kernel
def _multiply_rounded(
    board: Numbers, table: Numbers, steps: Steps, units: Floats, sums: Floats, outputs: Floats
) -> None:
    n_rows, size = steps.shape
    board[_IS_ATTENTION], board[_ROWS], board[_SIZE] = 0, n_rows, size
    board[_STEPS], board[_UNITS] = steps.ctypes.data, units.ctypes.data
    board[_SUMS], board[_OUTPUTS] = sums.ctypes.data, outputs.ctypes.data
    board[_TABLE], board[_PARTS] = table.ctypes.data, table.shape[0]
    board[_CHUNKS], board[_COLUMNS] = sums.shape[1], outputs.shape[1]
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
) -> None:
    """``attend``, by several threads.

    Args:
        board: of the caller alone, for the time of the call.
        queries: as for ``attend``, and all that follow.
        keys: likewise.
        values: likewise.
        n_before: likewise.
        mixed: likewise, written.
        totals: likewise, written.
    """
    n_heads, n_rows, size = queries.shape
    board[_IS_ATTENTION], board[_ROWS], board[_SIZE] = 1, n_rows, size
    board[_QUERIES], board[_KEYS] = queries.ctypes.data, keys.ctypes.data
    board[_VALUES], board[_MIXED] = values.ctypes.data, mixed.ctypes.data
    board[_TOTALS], board[_HEADS], board[_GROUPS] = totals.ctypes.data, n_heads, keys.shape[0]
    board[_ROOM], board[_BEFORE] = keys.shape[1], n_before
    of_row = 2 * n_heads * size * (n_before + n_rows)
    _share(board, n_rows, of_row, count_tiles(n_heads, n_rows, keys.shape[0]))


@kernel
def serve(board: Numbers, number: int, n_looks: int) -> None:
    """Take shares of work that comes; return when none was about to for so many looks.

    Args:
        board: shared with the caller of ``multiply_shared``.
        number: of this thread, whose place among the sleepers is marked at the end.
        n_looks: how often to look.
    """
    look = 0
    while look < n_looks:
        if read(board, LEFT) > 0:
            _take_shares(board)
            look = 0
        else:
            pause()
            look = 0 if read(board, COMING) else look + 1
    write(board, SLEEPERS + number, 1)


@kernel
def _share(board: Numbers, n_rows: int, of_row: int, most: int) -> None:
    """Have work done that is written on the board.

    Args:
        board: with the work.
        n_rows: of the work.
        of_row: products of numbers that a row takes.
        most: shares, that none is too small.
    """
    n_threads = 1 + board[OTHERS]
    n_shares = 1
    if n_threads > 1:
        wanted = max(SHARES * n_threads, of_row // MOST_PRODUCTS)
        n_shares = max(1, min(wanted, most, n_rows * of_row // LEAST_PRODUCTS))
    board[_SHARES] = n_shares
    write(board, DONE, 0)
    write(board, LEFT, n_shares)
    _take_shares(board)
    while read(board, DONE) < n_shares:
        pause()


@kernel
def _take_shares(board: Numbers) -> None:
    while read(board, LEFT) > 0:
        left = add(board, LEFT, -1)
        # What is left of earlier work is never more than nothing, so this share is current: what
        # the board says stays until all its shares are done.
        if left > 0:
            if board[_IS_ATTENTION]:
                _attend_share(board, left - 1)
            else:
                _multiply_share(board, left - 1)
            add(board, DONE, 1)


@kernel
def _multiply_share(board: Numbers, share: int) -> None:
    """Outputs of one share, part by part."""
    n_rows, n_outputs, n_shares = board[_ROWS], board[_COLUMNS], board[_SHARES]
    of_steps, of_sums = (n_rows, board[_SIZE]), (n_rows, board[_CHUNKS])
    steps = carray(pointer(board[_STEPS]), of_steps, np.int16)
    units = carray(pointer(board[_UNITS]), (n_rows,), np.float32)
    sums = carray(pointer(board[_SUMS]), of_sums, np.float32)
    outputs = carray(pointer(board[_OUTPUTS]), (n_rows, n_outputs), np.float32)
    table = carray(pointer(board[_TABLE]), (board[_PARTS], 4), np.int64)
    start, stop = n_outputs * share // n_shares, n_outputs * (share + 1) // n_shares
    begin = 0
    for part in range(table.shape[0]):
        kind, address, size = table[part, 0], table[part, 1], table[part, 2]
        blocks = carray(pointer(address), (size, table[part, 3]), np.uint8)
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
def _attend_share(board: Numbers, share: int) -> None:
    """Tiles of queries of one share."""
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
    attend_tiles(queries, keys, values, board[_BEFORE], first, end, mixed, totals)
