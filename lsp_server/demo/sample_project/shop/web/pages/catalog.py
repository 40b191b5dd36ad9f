"""Pages of the catalog: shelves, products and search."""

from __future__ import annotations

from collections.abc import Iterable

from shop.catalog.products import Category, Product
from shop.web.forms import form, labelled
from shop.web.html import Markup, tag
from shop.web.layout import page
from shop.web.request import Request
from shop.web.response import Response, not_found
from shop.web.router import Router
from shop.web.services import Services


class CatalogPages:
    """Shows what there is."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/", self.front)
        router.add("GET", "/shelf/<category>", self.shelf)
        router.add("GET", "/product/<sku>", self.product)
        router.add("GET", "/search", self.search)

    def front(self, request: Request) -> Response:
        """Show everything."""
        return page(request, "Welcome", _product_list(self._services.products.listed()))

    def shelf(self, request: Request) -> Response:
        """Show one category."""
        name = request.matched["category"]
        if name not in {each.value for each in Category}:
            return not_found(f"There is no shelf {name}.")
        products = self._services.products.listed(Category(name))
        return page(request, name.title(), _product_list(products))

    def product(self, request: Request) -> Response:
        """Show one product, with a button that puts it into the cart."""
        product = self._services.products.by_sku(request.matched["sku"])
        left = self._services.warehouse.level(product.sku).free
        return page(
            request,
            product.title,
            tag("p", product.description),
            tag("p", f"{product.price.format()}, {left} in stock"),
            form(
                request,
                f"/cart/{product.sku}",
                "Add to cart",
                labelled("Pieces", "pieces", "number", "1"),
            ),
        )

    def search(self, request: Request) -> Response:
        """Show what a query finds."""
        query = request.query.get("q", "")
        found = self._services.search.find(query)
        return page(request, f"{len(found)} found for “{query}”", _product_list(found))


def _product_list(products: Iterable[Product]) -> Markup:
    items = (
        tag(
            "li",
            tag("a", product.title, href=f"/product/{product.sku}"),
            f" {product.price.format()}",
        )
        for product in products
    )
    return tag("ul", *items)
