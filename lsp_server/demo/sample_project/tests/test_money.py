"""Amounts of money."""

from decimal import Decimal

import pytest
from shop.money import CurrencyMismatch, Money


@pytest.mark.parametrize(
    ("text", "cents"), [("12.90", 1290), ("3", 300), (" 0,05 ", 5), ("1.005", 101)]
)
def test_amounts_are_read(text: str, cents: int) -> None:
    assert Money.parse(text) == Money(cents)


def test_what_is_no_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="no amount"):
        Money.parse("free")


def test_amounts_are_written() -> None:
    assert Money(1290).format() == "12.90 €"
    assert Money(-5, "GBP").format() == "-0.05 £"
    assert Money(100, "CHF").format() == "1.00 CHF"


def test_amounts_are_added_and_compared() -> None:
    assert Money.total([Money(1), Money(2)]) == Money(3)
    assert Money(5) - Money(7) == -Money(2)
    assert max(Money(3), Money(4)) == Money(4)
    assert not Money.zero()


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyMismatch):
        print(Money(1, "EUR") + Money(1, "USD"))


def test_shares_are_rounded() -> None:
    assert Money(999).percent(Decimal(10)) == Money(100)


@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [5, 0, 7], [900, 1]])
def test_parts_add_up(weights: list[int]) -> None:
    parts = Money(1000).split(weights)
    assert Money.total(parts) == Money(1000)
    assert len(parts) == len(weights)


def test_weights_have_to_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Money(1).split([0])
