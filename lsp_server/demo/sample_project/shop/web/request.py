"""Requests: what a browser asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from shop.web.sessions import Session

MAX_FORM_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request of a browser."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    form: Mapping[str, str] = field(default_factory=dict[str, str])
    cookies: Mapping[str, str] = field(default_factory=dict[str, str])
    session: Session = field(default_factory=Session)
    matched: Mapping[str, str] = field(default_factory=dict[str, str])
    """Parts of the path that its route has names for."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, Any]) -> Request:
        """Return the request that a WSGI server passes on."""
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        return cls(
            environ.get("REQUEST_METHOD", "GET"),
            environ.get("PATH_INFO", "/") or "/",
            _fields(environ.get("QUERY_STRING", "")),
            _fields(_body(environ)),
            {name: cookie.value for name, cookie in cookies.items()},
        )


def _body(environ: Mapping[str, Any]) -> str:
    length = environ.get("CONTENT_LENGTH") or "0"
    n_bytes = min(int(length), MAX_FORM_BYTES) if length.isdigit() else 0
    return environ["wsgi.input"].read(n_bytes).decode("utf-8", "replace") if n_bytes else ""


def _fields(encoded: str) -> dict[str, str]:
    """Return the last value of each field."""
    return {name: values[-1] for name, values in parse_qs(encoded).items()}
