"""The application: sessions, routes, and what becomes of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from shop.errors import LoginFailed, ShopError, UnknownProduct
from shop.web.html import tag
from shop.web.layout import page
from shop.web.pages.account import AccountPages
from shop.web.pages.cart import CartPages
from shop.web.pages.catalog import CatalogPages
from shop.web.pages.checkout import CheckoutPages
from shop.web.pages.office import OfficePages
from shop.web.request import Request
from shop.web.response import Response
from shop.web.router import Router
from shop.web.services import Services
from shop.web.sessions import COOKIE, Sessions

StartResponse = Callable[[str, list[tuple[str, str]]], object]


class App:
    """A WSGI application.

    Args:
        services: the parts of the shop.
        staff: e-mail addresses of those who work in it.
    """

    def __init__(self, services: Services, staff: Iterable[str] = ()) -> None:
        self._sessions = Sessions()
        self._router = Router()
        for pages in (
            CatalogPages(services),
            CartPages(services),
            CheckoutPages(services),
            AccountPages(services),
            OfficePages(services, frozenset(staff)),
        ):
            pages.add_to(self._router)

    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request of a WSGI server."""
        response = self.respond(Request.from_environ(environ))
        headers = {"Content-Type": response.content_type, **response.headers}
        start_response(response.status_line, list(headers.items()))
        return [response.body.encode()]

    def respond(self, request: Request) -> Response:
        """Answer a request."""
        session = self._sessions.resume(request.cookies.get(COOKIE, ""))
        request = replace(request, session=session)
        try:
            response = self._router.dispatch(request)
        except ShopError as error:
            response = page(request, "Sorry", tag("p", str(error)), status=_status_of(error))
        return response.with_cookie(COOKIE, session.key)


def _status_of(error: ShopError) -> HTTPStatus:
    if isinstance(error, UnknownProduct):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, LoginFailed):
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.CONFLICT
