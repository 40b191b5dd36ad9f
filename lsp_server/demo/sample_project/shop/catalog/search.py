"""Search in the catalog: by whole words and beginnings of words, the best match first."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from shop.catalog.products import Product

TITLE_WEIGHT = 3
DESCRIPTION_WEIGHT = 1
_WORD = re.compile(r"\w+")


class SearchIndex:
    """Words of all products, each with the products that have it."""

    def __init__(self, products: Iterable[Product] = ()) -> None:
        self._products: dict[str, Product] = {}
        self._weights: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for product in products:
            self.add(product)

    def add(self, product: Product) -> None:
        """Add a product, or replace its former version."""
        self.remove(product.sku)
        self._products[product.sku] = product
        for word in words_of(product.description):
            self._weights[word][product.sku] = DESCRIPTION_WEIGHT
        for word in words_of(product.title):
            self._weights[word][product.sku] = TITLE_WEIGHT

    def remove(self, sku: str) -> None:
        """Remove a product, if it is there."""
        if self._products.pop(sku, None) is not None:
            for weights in self._weights.values():
                weights.pop(sku, None)

    def find(self, query: str, limit: int = 20) -> list[Product]:
        """Return the products that have all words of a query, the best match first."""
        wanted = words_of(query)
        if not wanted:
            return []
        scores = [self._scores(word) for word in wanted]
        common = set(scores[0]).intersection(*scores[1:])
        ranked = sorted(common, key=lambda sku: (-sum(each[sku] for each in scores), sku))
        return [self._products[sku] for sku in ranked[:limit]]

    def _scores(self, beginning: str) -> dict[str, int]:
        """Return each product that has a word with this beginning, and its weight."""
        found: dict[str, int] = {}
        for word, weights in self._weights.items():
            if word.startswith(beginning):
                bonus = 1 if word == beginning else 0
                for sku, weight in weights.items():
                    found[sku] = max(found.get(sku, 0), weight + bonus)
        return found


def words_of(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.lower())
