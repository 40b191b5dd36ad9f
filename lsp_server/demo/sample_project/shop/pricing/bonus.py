"""The bonus that regular customers get for an order."""

from __future__ import annotations

from decimal import Decimal

from shop.money import Money
from shop.pricing.totals import Bill

BONUS = Decimal(2)
"""Cents for each euro of a bill."""


def bonus_for(bill: Bill) -> Money:
    """Return what a customer gets as a bonus."""
    return bill.total.percent(BONUS)
