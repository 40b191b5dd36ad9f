"""Value added tax, which prices include."""

from __future__ import annotations

from decimal import Decimal

from shop.catalog.products import TaxClass
from shop.money import Money

RATES: dict[str, dict[TaxClass, Decimal]] = {
    "AT": {TaxClass.FOOD: Decimal(10), TaxClass.GOODS: Decimal(20)},
    "BE": {TaxClass.FOOD: Decimal(6), TaxClass.GOODS: Decimal(21)},
    "DE": {TaxClass.FOOD: Decimal(7), TaxClass.GOODS: Decimal(19)},
    "FR": {TaxClass.FOOD: Decimal("5.5"), TaxClass.GOODS: Decimal(20)},
    "NL": {TaxClass.FOOD: Decimal(9), TaxClass.GOODS: Decimal(21)},
}
HOME_COUNTRY = "DE"


def tax_rate(country: str, tax_class: TaxClass) -> Decimal:
    """Return the rate in percent; that of the home country where we know no other."""
    rates = RATES.get(country, RATES[HOME_COUNTRY])
    return rates.get(tax_class, Decimal(0))


def included_tax(gross: Money, country: str, tax_class: TaxClass) -> Money:
    """Return the tax that a price includes."""
    rate = tax_rate(country, tax_class)
    return gross.percent(100 * rate / (100 + rate))


def net_price(gross: Money, country: str, tax_class: TaxClass) -> Money:
    """Return a price without its tax."""
    return gross - included_tax(gross, country, tax_class)
