"""One product with blocks, shared between threads that wait for it in a loop.

A product of one token takes from 0.1 to 2 ms, and waking a thread by the system 0.1 ms. So threads
wait for the next product by looking at a board until none has come for a while, then they sleep.

The board says what is multiplied, in shares of some outputs each. Whoever is free takes the next
share, the caller too: a thread that sleeps, or that the system does not let run, is not waited for.
"""

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from longllama_code.kernels.atomics import add, pause, pointer, read, write
from longllama_code.kernels.block_products import multiply_row, multiply_rows, round_in_order
from longllama_code.kernels.block_tiles import PAIR
from longllama_code.kernels.compiling import kernel
from longllama_code.kernels.products import Floats, Steps

Numbers = NDArray[np.int64]

# Places on a board. What threads write is apart from the rest, in cache lines of its own.
LEFT, DONE, COMING, FIELDS = 0, 16, 31, 32
"""Shares that nobody has taken; that are done; whether a product comes; what is multiplied."""
_STEPS, _UNITS, _SUMS, _OUTPUTS, _TABLE, _PARTS, _ROWS, _SIZE, _CHUNKS, _COLUMNS, _SHARES = range(
    FIELDS, FIELDS + 11
)
SLEEPERS = 48
"""From here on, of each other thread: whether it sleeps."""


@kernel
def multiply_shared(
    board: Numbers,
    n_shares: int,
    table: Numbers,
    inputs: Floats,
    steps: Steps,
    units: Floats,
    sums: Floats,
    outputs: Floats,
) -> None:
    """(S, K) times the transpose of weights in some parts, behind each other, into (S, N).

    Args:
        board: of the caller alone, for the time of the call.
        n_shares: into which outputs are divided.
        table: (parts, 4): the kind of each, the address of its blocks, its rows, bytes of a row.
        inputs: (S, K).
        steps: (S, K), room for ``round_in_order``.
        units: (S,), likewise.
        sums: (S, chunks), likewise.
        outputs: (S, N), written.
    """
    round_in_order(inputs, steps, units, sums)
    board[_STEPS], board[_UNITS] = steps.ctypes.data, units.ctypes.data
    board[_SUMS], board[_OUTPUTS] = sums.ctypes.data, outputs.ctypes.data
    board[_TABLE], board[_PARTS] = table.ctypes.data, table.shape[0]
    board[_ROWS], board[_SIZE], board[_CHUNKS] = steps.shape[0], steps.shape[1], sums.shape[1]
    board[_COLUMNS], board[_SHARES] = outputs.shape[1], n_shares
    write(board, DONE, 0)
    write(board, LEFT, n_shares)
    _take_shares(board)
    while read(board, DONE) < n_shares:
        pause()


@kernel
def serve(board: Numbers, number: int, n_looks: int) -> None:
    """Take shares of products that come; return when none was about to for so many looks.

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
def _take_shares(board: Numbers) -> None:
    while read(board, LEFT) > 0:
        left = add(board, LEFT, -1)
        # What is left of an earlier product is never more than nothing, so this one is current:
        # it stays until all its shares are done.
        if left > 0:
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
