"""Amounts of money, in whole cents of one currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import total_ordering

SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}


class CurrencyMismatch(ValueError):
    """Amounts of two currencies were added or compared."""


@total_ordering
@dataclass(frozen=True)
class Money:
    """An amount of money."""

    cents: int
    currency: str = "EUR"

    @classmethod
    def zero(cls, currency: str = "EUR") -> Money:
        """Return nothing, in a currency."""
        return cls(0, currency)

    @classmethod
    def parse(cls, text: str, currency: str = "EUR") -> Money:
        """Return the amount that a text such as ``12.90`` means.

        Raises:
            ValueError: the text is no amount.
        """
        try:
            amount = Decimal(text.strip().replace(",", "."))
        except InvalidOperation:
            raise ValueError(f"{text!r} is no amount of money") from None
        return cls(_rounded(amount * 100), currency)

    @classmethod
    def total(cls, amounts: Iterable[Money], currency: str = "EUR") -> Money:
        """Return the sum of some amounts; nothing, if there are none."""
        return sum(amounts, start=cls.zero(currency))

    def __add__(self, other: Money) -> Money:
        return Money(self.cents + self._same(other).cents, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.cents - self._same(other).cents, self.currency)

    def __mul__(self, count: int) -> Money:
        return Money(self.cents * count, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.cents, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.cents < self._same(other).cents

    def __bool__(self) -> bool:
        return self.cents != 0

    def percent(self, share: Decimal) -> Money:
        """Return a share in percent, rounded to whole cents."""
        return Money(_rounded(self.cents * share / 100), self.currency)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Return parts in proportion to weights, which add up to this amount exactly."""
        whole = sum(weights)
        if whole <= 0:
            raise ValueError("the weights have to be positive")
        parts = [self.cents * weight // whole for weight in weights]
        for place in range(self.cents - sum(parts)):
            parts[place % len(parts)] += 1
        return [Money(part, self.currency) for part in parts]

    def format(self) -> str:
        """Return the amount as customers read it, such as ``12.90 €``."""
        sign, cents = ("-" if self.cents < 0 else ""), abs(self.cents)
        symbol = SYMBOLS.get(self.currency, self.currency)
        return f"{sign}{cents // 100}.{cents % 100:02} {symbol}"

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
