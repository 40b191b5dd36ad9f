"""Responses: pages, redirects and files."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True)
class Response:
    """What a browser gets."""

    body: str
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def status_line(self) -> str:
        """The status as WSGI has it."""
        return f"{self.status.value} {self.status.phrase}"

    def with_cookie(self, name: str, value: str) -> Response:
        """Return the response with a cookie that scripts cannot read."""
        cookie = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax"
        headers = {**self.headers, "Set-Cookie": cookie}
        return Response(self.body, self.status, self.content_type, headers)


def see_other(path: str) -> Response:
    """Return a redirect, as after a form was sent."""
    return Response("", HTTPStatus.SEE_OTHER, headers={"Location": path})


def not_found(what: str) -> Response:
    """Return the page for what is not there."""
    return Response(what, HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8")


def as_download(text: str, file_name: str) -> Response:
    """Return a file to save."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=headers)
