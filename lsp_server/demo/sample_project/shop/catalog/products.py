"""Products, and the categories that they are in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shop.money import Money


class Category(str, Enum):
    """A shelf of the shop."""

    COFFEE = "coffee"
    TEA = "tea"
    BREWING = "brewing"
    CUPS = "cups"
    GIFTS = "gifts"


class TaxClass(str, Enum):
    """A group of goods that are taxed alike."""

    FOOD = "food"
    GOODS = "goods"
    EXEMPT = "exempt"


@dataclass(frozen=True)
class Product:
    """An article of the catalog."""

    sku: str
    """Article number, such as ``TEA-0017``."""
    title: str
    price: Money
    category: Category
    weight_grams: int
    tax_class: TaxClass = TaxClass.GOODS
    description: str = ""
    is_listed: bool = True
    """Whether customers find it."""

    def with_price(self, price: Money) -> Product:
        """Return the product at another price."""
        return Product(
            self.sku,
            self.title,
            price,
            self.category,
            self.weight_grams,
            self.tax_class,
            self.description,
            self.is_listed,
        )
