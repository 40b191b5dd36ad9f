"""What clients tell of suggestions, and requests for what was counted.

Nothing of it leaves the machine; docs/statistics.md says what is counted.
"""

from typing import Any, cast

from lsp_server.server import Server

Json = dict[str, Any]
MAX_DAYS = 100_000.0
"""Days that a request may ask for; a greater number counts as all."""


def did_show(server: Server, params: Any) -> None:
    """Count a suggestion that the client shows."""
    if (name := _id_of(params)) is not None:
        server.session.statistics.counter.shown(name)


def did_partially_accept(server: Server, params: Any) -> None:
    """Count a suggestion of which the user accepted the beginning."""
    name = _id_of(params)
    length = cast("Json", params).get("acceptedLength") if name is not None else None
    if name is not None and isinstance(length, int):
        server.session.statistics.counter.accepted(name, length)


def did_dismiss(server: Server, params: Any) -> None:
    """Note that the user put a suggestion away."""
    if (name := _id_of(params)) is not None:
        server.session.statistics.counter.dismissed(name)


async def statistics(server: Server, params: Any) -> Json:
    """Return what was counted by all windows; in the last ``days``, if the request has them."""
    days = cast("Json", params).get("days") if isinstance(params, dict) else None
    is_number = isinstance(days, int | float) and 0 <= days <= MAX_DAYS
    return await server.session.statistics.summary(days if is_number else None)


async def clear_statistics(server: Server, _: Any) -> Json:
    """Remove what was counted by all windows; return how many suggestions that were."""
    return {"n_removed": await server.session.statistics.clear()}


def _id_of(params: Any) -> str | None:
    """Return the suggestion that a notification names; None if it is malformed."""
    found = cast("Json", params).get("id") if isinstance(params, dict) else None
    return found if isinstance(found, str) else None
