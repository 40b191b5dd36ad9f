"""The way to the bank: cards are charged and credited by a payment service."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

from shop.errors import PaymentDeclined
from shop.money import Money


@dataclass(frozen=True)
class Card:
    """What the payment service gave us in place of a card's number."""

    token: str
    last_digits: str


@dataclass(frozen=True)
class Receipt:
    """A payment that was made."""

    reference: str
    amount: Money


class PaymentGateway(Protocol):
    """A payment service."""

    def charge_card(self, card: Card, amount: Money, order_number: str) -> Receipt:
        """Take money from a card, or raise PaymentDeclined."""
        ...

    def credit_back(self, reference: str, amount: Money) -> Receipt:
        """Give back money of an earlier payment."""
        ...


class PretendGateway:
    """A payment service for tests and demonstrations, which moves no money."""

    def __init__(self) -> None:
        self.receipts: dict[str, Receipt] = {}
        self._numbers = itertools.count(1)

    def charge_card(self, card: Card, amount: Money, order_number: str) -> Receipt:
        """Accept every card but the one whose token is ``declined``."""
        if card.token == "declined":
            raise PaymentDeclined(f"card ending in {card.last_digits}")
        return self._receipt(f"pay-{order_number}", amount)

    def credit_back(self, reference: str, amount: Money) -> Receipt:
        """Note that money goes back."""
        return self._receipt(f"back-{reference}", -amount)

    def _receipt(self, name: str, amount: Money) -> Receipt:
        receipt = Receipt(f"{name}-{next(self._numbers)}", amount)
        self.receipts[receipt.reference] = receipt
        return receipt
