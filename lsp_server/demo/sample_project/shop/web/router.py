"""Routes: which function answers which path."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from shop.web.request import Request
from shop.web.response import Response, not_found

Page = Callable[[Request], Response]
_NAMED_PART = re.compile(r"<(\w+)>")


class Router:
    """Routes, of which the first that fits is taken."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Page]] = []

    def add(self, method: str, path: str, page: Page) -> None:
        """Have a function answer a path such as ``/product/<sku>``."""
        pattern = _NAMED_PART.sub(r"(?P<\1>[^/]+)", path)
        self._routes.append((method, re.compile(pattern), page))

    def dispatch(self, request: Request) -> Response:
        """Answer a request."""
        for method, pattern, page in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return page(replace(request, matched=match.groupdict()))
        return not_found(f"There is no page {request.path}.")
