"""Products in the database."""

from __future__ import annotations

import sqlite3

from shop.catalog.products import Category, Product, TaxClass
from shop.database import Database
from shop.errors import UnknownProduct
from shop.money import Money


class ProductTable:
    """Reads and writes products.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, product: Product) -> None:
        """Add a product, or replace the one with its article number."""
        self._database.execute(
            "insert into products values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " on conflict (sku) do update set title = excluded.title,"
            " description = excluded.description, category = excluded.category,"
            " price_cents = excluded.price_cents, currency = excluded.currency,"
            " weight_grams = excluded.weight_grams, tax_class = excluded.tax_class,"
            " is_listed = excluded.is_listed",
            product.sku,
            product.title,
            product.description,
            product.category.value,
            product.price.cents,
            product.price.currency,
            product.weight_grams,
            product.tax_class.value,
            product.is_listed,
        )

    def by_sku(self, sku: str) -> Product:
        """Return the product with an article number.

        Raises:
            UnknownProduct: there is none.
        """
        row = self._database.row("select * from products where sku = ?", sku)
        if row is None:
            raise UnknownProduct(sku)
        return _product(row)

    def listed(self, category: Category | None = None) -> list[Product]:
        """Return what customers find, in a category or in all of them, by title."""
        query = "select * from products where is_listed and ? in ('', category) order by title"
        rows = self._database.rows(query, category.value if category else "")
        return [_product(row) for row in rows]

    def unlist(self, sku: str) -> None:
        """Hide a product from customers; orders that have it stay as they are."""
        if not self._database.execute("update products set is_listed = 0 where sku = ?", sku):
            raise UnknownProduct(sku)


def _product(row: sqlite3.Row) -> Product:
    return Product(
        row["sku"],
        row["title"],
        Money(row["price_cents"], row["currency"]),
        Category(row["category"]),
        row["weight_grams"],
        TaxClass(row["tax_class"]),
        row["description"],
        bool(row["is_listed"]),
    )
