"""The paths that are served, and the JSON of their responses."""

import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lsp_server import __version__
from lsp_server.http import completions, infill
from lsp_server.http.errors import Refused, unavailable
from lsp_server.http.requests import ClientGone, fields_of, unless_gone
from lsp_server.http.suggesting import Suggesting
from lsp_server.reasons import place_of
from lsp_server.session import Session

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Handler = Callable[["Doors", Request], Awaitable[Response]]

MAX_WAITING = 64
"""Requests that are worked on at once; more are refused."""
GONE = 499
"""Status, for logs, of a request whose client has gone."""
DONE = "[DONE]"
"""Last event of a stream of OpenAI's."""


class Doors:
    """Handlers of requests to one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.suggesting = Suggesting(session)
        self.n_waiting = 0

    async def infill(self, request: Request) -> Response:
        """Answer ``POST /infill``."""
        fields = await fields_of(request)
        asked = infill.asked_by(request, fields)
        if infill.is_for_later(fields):
            answer = self.suggesting.read_ahead(asked)
        else:
            answer = self.suggesting.answer(asked)
        answered = await unless_gone(request, answer)
        if asked.streams:
            return as_events(infill.events(answered, fields))
        return as_json(infill.results(answered, fields))

    async def completions(self, request: Request) -> Response:
        """Answer ``POST /v1/completions``."""
        fields = await fields_of(request)
        asked = completions.asked_by(request, fields)
        answered = await unless_gone(request, self.suggesting.answer(asked))
        if asked.streams:
            return as_events([*completions.events(answered, fields), DONE])
        return as_json(completions.result(answered, fields))

    async def health(self, _: Request) -> Response:
        """Answer ``GET /health``: an error until suggestions can be made."""
        self.suggesting.require_engine()
        return as_json({"status": "ok"})

    async def props(self, _: Request) -> Response:
        """Answer ``GET /props``, as far as it means something here."""
        settings, model = self.session.settings, await self.suggesting.model()
        n_predict = settings.completion.max_tokens
        return as_json(
            {
                "default_generation_settings": {
                    "params": {"n_predict": n_predict, "temperature": 0.0, "stream": False}
                },
                "total_slots": 1,
                "model_alias": model,
                "model_path": settings.model.path,
                "modalities": {"vision": False, "video": False, "audio": False},
                "chat_template": "",
                "build_info": f"longllama-lsp {__version__}",
                "is_sleeping": False,
            }
        )

    async def models(self, _: Request) -> Response:
        """Answer ``GET /v1/models``."""
        model = await self.suggesting.model()
        entry = {"id": model, "object": "model", "created": 0, "owned_by": "longllama"}
        ours = {"name": model, "model": model, "capabilities": ["completion"]}
        return as_json({"object": "list", "data": [entry], "models": [ours]})


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/infill", Doors.infill),
    ("POST", "/v1/completions", Doors.completions),
    ("POST", "/completions", Doors.completions),
    ("GET", "/health", Doors.health),
    ("GET", "/v1/health", Doors.health),
    ("GET", "/props", Doors.props),
    ("GET", "/v1/models", Doors.models),
    ("GET", "/models", Doors.models),
)


def new_app(session: Session) -> Starlette:
    """Return the application that answers requests from a session."""
    doors = Doors(session)
    routes = [
        Route(path, partial(_answer, doors, handler), methods=[method])
        for method, path, handler in ROUTES
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _not_served})


async def _answer(doors: Doors, handler: Handler, request: Request) -> Response:
    """Return the response of a handler, or what it ended with. Raises nothing."""
    doors.n_waiting += 1
    try:
        if doors.n_waiting > MAX_WAITING:
            raise unavailable(f"{MAX_WAITING} requests are waiting; ask again later.")
        return await handler(doors, request)
    except Refused as refused:
        return refusal(refused)
    except ClientGone:
        return Response(status_code=GONE)
    except Exception as error:  # the one place that nothing can pass
        logger.error("%s: %s at %s", request.url.path, type(error).__name__, place_of(error))
        message = "the server failed over this request; its log has the place."
        return refusal(Refused(500, "server_error", message))
    finally:
        doors.n_waiting -= 1


async def _not_served(request: Request, error: Exception) -> Response:
    """Answer a request for a path or with a method that is not served."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    served = ", ".join(f"{method} {path}" for method, path, _ in ROUTES)
    message = f"{request.method} {request.url.path[:100]} is not served; these are: {served}."
    kind = "not_found_error" if status == 404 else "invalid_request_error"
    return refusal(Refused(status, kind, message, headers=headers))


def refusal(refused: Refused) -> Response:
    """Return the response of a request that is refused."""
    return as_json(refused.body, refused.status, refused.headers)


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response of compact JSON in ASCII: llama.vim looks for ``"content":"`` in it."""
    return Response(_dumped(value), status, headers, media_type="application/json")


def as_events(values: list[Any]) -> Response:
    """Return a response of server-sent events, of JSON or of texts."""
    texts = [value if isinstance(value, str) else _dumped(value) for value in values]
    body = "".join(f"data: {text}\n\n" for text in texts)
    return Response(body, headers={"Cache-Control": "no-cache"}, media_type="text/event-stream")


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
