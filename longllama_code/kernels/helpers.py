"""Threads that help with products of few tokens, and look out for the next one for a while."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

from longllama_code.kernels.block_sharing import COMING, SLEEPERS, Numbers, serve

LOOKS = 1 << 15
"""At the board, before a thread sleeps: 0.1 to 2 ms, by the CPU."""


class Helpers:
    """Some threads beside the caller's.

    Args:
        n_threads: how many.
    """

    def __init__(self, n_threads: int) -> None:
        self._board = np.zeros(SLEEPERS + n_threads, np.int64)
        self._board[SLEEPERS:] = 1
        self._is_used, ended = threading.Lock(), threading.Event()
        self._beds = [threading.Lock() for _ in range(n_threads)]
        for number, bed in enumerate(self._beds):
            bed.acquire()
            known = self._board, number, bed, ended
            threading.Thread(target=_help, args=known, name="kernels", daemon=True).start()
        weakref.finalize(self, _end, self._board, self._beds, ended)

    @contextmanager
    def board(self) -> Generator[Numbers | None]:
        """What the threads look at, awake or about to be; None while another caller has it."""
        if not self._is_used.acquire(blocking=False):
            yield None
            return
        try:
            self._board[COMING] = 1
            _wake(self._board, self._beds)
            yield self._board
        finally:
            self._board[COMING] = 0
            self._is_used.release()


def _wake(board: Numbers, beds: list[threading.Lock]) -> None:
    for number, bed in enumerate(beds):
        if board[SLEEPERS + number]:
            board[SLEEPERS + number] = 0
            bed.release()


def _help(board: Numbers, number: int, bed: threading.Lock, ended: threading.Event) -> None:
    while True:
        bed.acquire()  # until somebody wakes this thread
        if ended.is_set():
            return
        serve(board, number, LOOKS)


def _end(board: Numbers, beds: list[threading.Lock], ended: threading.Event) -> None:
    ended.set()
    for bed in beds:
        if bed.locked():
            bed.release()
