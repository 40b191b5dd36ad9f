"""What shipping costs, by country and weight."""

from __future__ import annotations

from shop.errors import NotDeliverable
from shop.money import Money

FREE_FROM = Money(50_00)
"""Price of the goods from which on shipping within the home zone is free."""
ZONES = {"DE": "home", "AT": "near", "BE": "near", "FR": "near", "NL": "near", "GB": "far"}
TARIFFS: dict[str, tuple[tuple[int, Money], ...]] = {
    "home": ((1_000, Money(3_90)), (5_000, Money(5_90)), (31_500, Money(9_90))),
    "near": ((1_000, Money(8_90)), (5_000, Money(12_90)), (31_500, Money(19_90))),
    "far": ((1_000, Money(14_90)), (5_000, Money(22_90))),
}
"""For each zone, the heaviest parcel of each tariff in grams, and its price."""


def shipping_fee(country: str, weight_grams: int, goods: Money) -> Money:
    """Return what it costs to send goods of a weight to a country.

    Raises:
        NotDeliverable: nobody takes a parcel there.
    """
    zone = ZONES.get(country)
    if zone is None:
        raise NotDeliverable(country)
    if zone == "home" and goods >= FREE_FROM:
        return Money.zero()
    fees = [fee for heaviest, fee in TARIFFS[zone] if weight_grams <= heaviest]
    return fees[0] if fees else _in_several_parcels(zone, weight_grams)


def _in_several_parcels(zone: str, weight_grams: int) -> Money:
    heaviest, fee = TARIFFS[zone][-1]
    n_parcels = -(-weight_grams // heaviest)
    return fee * n_parcels
