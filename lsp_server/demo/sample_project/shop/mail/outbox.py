"""The outbox: mails wait here until the mail server takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mail:
    """A letter to a customer."""

    recipient: str
    subject: str
    body: str


class Outbox:
    """Mails in the order in which they were written."""

    def __init__(self) -> None:
        self._waiting: deque[Mail] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, mail: Mail) -> None:
        """Have a mail sent."""
        self._waiting.append(mail)

    def deliver(self, hand_over: Callable[[Mail], bool]) -> int:
        """Hand mails to the mail server until it refuses one; return how many it took."""
        n_taken = 0
        while self._waiting and hand_over(self._waiting[0]):
            self._waiting.popleft()
            n_taken += 1
        return n_taken
