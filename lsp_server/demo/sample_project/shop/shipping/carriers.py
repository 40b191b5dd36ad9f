"""Carriers, which fetch parcels and give them codes to follow them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shop.customers.customer import Customer
from shop.shipping.labels import label_text
from shop.shipping.parcels import Parcel


@dataclass(frozen=True)
class Label:
    """A label that a carrier made out for a parcel."""

    tracking_code: str
    text: str


class Carrier(Protocol):
    """A company that delivers parcels."""

    def book_pickup(self, parcel: Parcel, customer: Customer) -> Label:
        """Have a parcel fetched, and return the label to stick on it."""
        ...


class CountingCarrier:
    """A carrier for tests and demonstrations, which counts its parcels."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def book_pickup(self, parcel: Parcel, customer: Customer) -> Label:
        """Return a label with the next number."""
        self.parcels.append(parcel)
        code = f"{customer.address.country}{len(self.parcels):08}"
        return Label(code, label_text(customer, code))
