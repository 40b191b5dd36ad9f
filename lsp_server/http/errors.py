"""Refusals of HTTP requests, in the form that clients of llama.cpp and of OpenAI both read."""

from typing import Any, Literal

ErrorType = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "unavailable_error",
    "server_error",
]
"""Types of errors, as llama.cpp's server names them."""


class Refused(Exception):  # noqa: N818 - an answer
    """A request is answered with an error.

    Args:
        status: HTTP status.
        kind: type of the error.
        message: what was found, and the remedy.
        field: name of the field that is wrong; None if it is none.
        headers: further headers of the response.
    """

    def __init__(
        self,
        status: int,
        kind: ErrorType,
        message: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.field, self.headers = field, headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """JSON of the response."""
        error = {"code": self.status, "message": self.message, "type": self.kind}
        return {"error": {**error, "param": self.field}}


def invalid(message: str, field: str | None = None) -> Refused:
    """Return the refusal of a request that is wrong in itself."""
    return Refused(400, "invalid_request_error", message, field=field)


def unavailable(message: str) -> Refused:
    """Return the refusal of a request that may have an answer later."""
    return Refused(503, "unavailable_error", message, headers={"Retry-After": "1"})
