"""Parcels: the lines of an order, packed by weight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shop.orders.order import OrderLine

MAX_GRAMS = 31_500
PACKAGING_GRAMS = 250


@dataclass(frozen=True)
class Parcel:
    """A box, and what is in it."""

    skus: tuple[str, ...]
    weight_grams: int


def pack(lines: Iterable[OrderLine]) -> list[Parcel]:
    """Return as few parcels as first-fit needs, the heaviest pieces first."""
    pieces = [(line.weight_grams, line.sku) for line in lines for _ in range(line.quantity)]
    boxes: list[list[tuple[int, str]]] = []
    for piece in sorted(pieces, reverse=True):
        box = next((box for box in boxes if _weight([*box, piece]) <= MAX_GRAMS), None)
        if box is None:
            boxes.append([piece])
        else:
            box.append(piece)
    return [Parcel(tuple(sku for _, sku in box), _weight(box)) for box in boxes]


def _weight(box: Iterable[tuple[int, str]]) -> int:
    return PACKAGING_GRAMS + sum(grams for grams, _ in box)
