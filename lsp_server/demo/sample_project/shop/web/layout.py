"""What all pages have in common."""

from __future__ import annotations

from http import HTTPStatus

from shop.catalog.products import Category
from shop.web.html import Markup, join, tag, void
from shop.web.request import Request
from shop.web.response import Response

NAME = "Leaf & Bean"


def page(
    request: Request, title: str, *content: Markup, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """Return a page with the shop's head and the visitor's notices."""
    notices = [tag("p", text, class_="notice") for text in request.session.take_notices()]
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        tag("title", f"{title} - {NAME}"),
    )
    body = tag("body", _navigation(request), *notices, tag("h1", title), *content)
    return Response(f"<!doctype html>{tag('html', head, body, lang='en')}", status)


def _navigation(request: Request) -> Markup:
    shelves = [tag("a", each.value.title(), href=f"/shelf/{each.value}") for each in Category]
    pieces = request.session.cart.count_pieces
    customer = request.session.customer
    links = [
        tag("a", NAME, href="/"),
        *shelves,
        tag("a", f"Cart ({pieces})", href="/cart"),
        tag("a", customer.name if customer else "Log in", href="/account"),
    ]
    return tag("nav", join(links))
