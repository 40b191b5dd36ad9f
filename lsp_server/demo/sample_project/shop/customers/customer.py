"""Customers and their addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Address:
    """Where a parcel goes."""

    street: str
    postcode: str
    city: str
    country: str
    """Code of two letters, such as ``DE``."""

    def as_lines(self, name: str) -> list[str]:
        """Return the lines of a label."""
        return [name, self.street, f"{self.postcode} {self.city}", self.country]


@dataclass(frozen=True)
class Customer:
    """A person with an account."""

    id: int
    email: str
    name: str
    address: Address

    @property
    def salutation(self) -> str:
        """Return the first words of a mail."""
        return f"Dear {self.name},"


def is_email(text: str) -> bool:
    """Whether a text has the form of an e-mail address."""
    return _EMAIL.fullmatch(text) is not None
