"""Labels, as they are stuck on parcels."""

from __future__ import annotations

from shop.customers.customer import Customer


def label_text(customer: Customer, tracking_code: str) -> str:
    """Return the text of a label: where the parcel goes, and the code to follow it by."""
    address = "\n".join(customer.address.as_lines(customer.name))
    return f"{address}\n\n{tracking_code}"
