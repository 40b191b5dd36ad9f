"""The cart: what a customer is about to order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shop.catalog.products import Product
from shop.money import Money

MAX_PIECES = 99
"""Most pieces of one product."""


@dataclass(frozen=True)
class CartLine:
    """Some pieces of one product."""

    product: Product
    quantity: int

    @property
    def price(self) -> Money:
        """Price of all pieces."""
        return self.product.price * self.quantity

    @property
    def weight_grams(self) -> int:
        """Weight of all pieces."""
        return self.product.weight_grams * self.quantity


class Cart:
    """Products and how many of each, in the order in which they were added."""

    def __init__(self) -> None:
        self._lines: dict[str, CartLine] = {}
        self.coupon_code = ""

    def __iter__(self) -> Iterator[CartLine]:
        return iter(self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

    def put_in(self, product: Product, pieces: int = 1) -> CartLine:
        """Add pieces of a product to those that are there, and return its line."""
        line = self._lines.get(product.sku, CartLine(product, 0))
        return self.set_quantity(product, line.quantity + pieces)

    def set_quantity(self, product: Product, pieces: int) -> CartLine:
        """Have so many pieces of a product; none remove it."""
        pieces = max(0, min(pieces, MAX_PIECES))
        line = replace(self._lines.get(product.sku, CartLine(product, 0)), quantity=pieces)
        if pieces:
            self._lines[product.sku] = line
        else:
            self._lines.pop(product.sku, None)
        return line

    def take_out(self, sku: str) -> None:
        """Remove a product."""
        self._lines.pop(sku, None)

    def empty(self) -> None:
        """Remove everything, the coupon too."""
        self._lines.clear()
        self.coupon_code = ""

    @property
    def count_pieces(self) -> int:
        """Number of pieces of all products."""
        return sum(line.quantity for line in self)

    @property
    def goods_total(self) -> Money:
        """Price of all goods, without discount and shipping."""
        return Money.total(line.price for line in self)

    @property
    def weight_grams(self) -> int:
        """Weight of all goods."""
        return sum(line.weight_grams for line in self)
