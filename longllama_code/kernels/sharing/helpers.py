"""Threads that share short work, and poll for the next work for a while before they sleep."""

from __future__ import annotations

import threading
import weakref

import numpy as np

from longllama_code.kernels.sharing.shared_work import (
    COMING,
    OTHERS,
    SLEEPERS,
    TAKING,
    Numbers,
    serve,
    take_shares,
)

LOOKS = 1 << 15
"""Polls of the board before a thread sleeps: 0.1 to 2 ms, depending on the CPU."""


class Helpers:
    """Threads besides the caller's.

    Args:
        n_threads: number of threads.
    """

    def __init__(self, n_threads: int) -> None:
        self._board = _new_board(n_threads)
        self._is_used, ended = threading.Lock(), threading.Event()
        self._beds = [threading.Lock() for _ in range(n_threads)]
        for number, bed in enumerate(self._beds):
            bed.acquire()
            known = self._board, number, bed, ended
            threading.Thread(target=_help, args=known, name="kernels", daemon=True).start()
        weakref.finalize(self, _end, self._board, self._beds, ended)

    def board(self) -> Board:
        """Return the threads' board, for a ``with`` statement that wakes them.

        While another caller uses it, the board is one without threads, so the caller works alone.
        """
        return Board(self._board, self._is_used, self._beds)


class Board:
    """Context of one use of the board, for each part of a layer.

    Args:
        board: board of the threads.
        is_used: lock of the caller that uses the board.
        beds: locks on which the threads sleep.
    """

    def __init__(self, board: Numbers, is_used: threading.Lock, beds: list[threading.Lock]) -> None:
        self._board, self._is_used, self._beds = board, is_used, beds
        self._is_mine = False

    def __enter__(self) -> Numbers:
        """Wake the threads, unless another caller uses them."""
        self._is_mine = self._is_used.acquire(blocking=False)
        if not self._is_mine:
            return _new_board(0)
        self._board[COMING] = 1
        _wake(self._board, self._beds)
        return self._board

    def __exit__(self, *_: object) -> None:
        """Let the threads sleep after a while."""
        if self._is_mine:
            self._board[COMING] = 0
            self._is_used.release()


def _new_board(n_threads: int) -> Numbers:
    """Return a board of so many threads, all asleep."""
    board = np.zeros(SLEEPERS + n_threads, np.int64)
    board[TAKING], board[OTHERS], board[SLEEPERS:] = take_shares.address, n_threads, 1
    return board


def _wake(board: Numbers, beds: list[threading.Lock]) -> None:
    for number, bed in enumerate(beds):
        if board[SLEEPERS + number]:
            board[SLEEPERS + number] = 0
            bed.release()


def _help(board: Numbers, number: int, bed: threading.Lock, ended: threading.Event) -> None:
    while True:
        bed.acquire()  # released by whoever wakes this thread
        if ended.is_set():
            return
        serve(board, number, LOOKS)


def _end(board: Numbers, beds: list[threading.Lock], ended: threading.Event) -> None:
    ended.set()
    for bed in beds:
        if bed.locked():
            bed.release()
