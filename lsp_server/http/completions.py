"""``POST /v1/completions``, as OpenAI has it, with the text behind the cursor as ``suffix``.

Clients without a field for that write marks of a model into the prompt (`marks`).
"""

import time
import uuid
from typing import Any

from starlette.requests import Request

from lsp_server.http.asked import Asked
from lsp_server.http.errors import invalid
from lsp_server.http.fields import Fields
from lsp_server.http.infill import timings_of
from lsp_server.http.marks import Marked, taken_apart
from lsp_server.http.requests import AUTOMATIC, LANGUAGE, MAX_TOKENS, file_of, is_path
from lsp_server.http.suggesting import Answered
from lsp_server.suggestions.cursor_context import Limits

Json = dict[str, Any]

MAX_STOPS = 64
MAX_CHOICES = 128
NOT_SUPPORTED = {"echo": (None, False), "logprobs": (None, False, 0)}
"""Fields that change what a response says, and the values that they may have."""


def asked_by(request: Request, fields: Fields) -> Asked:
    """Return what a request to ``/v1/completions`` asks.

    Raises:
        Refused: a field is missing or wrong.
    """
    for name, allowed in NOT_SUPPORTED.items():
        if fields.raw(name) not in allowed:
            raise invalid(f"{name!r} is not supported; leave it out.", name)
    parts = _parts(fields)
    n_tokens = fields.number("max_tokens", -1, -1, MAX_TOKENS)
    return Asked(
        before=parts.before,
        after=parts.after,
        file=file_of(request, fields) or (parts.file if is_path(parts.file) else ""),
        language=fields.text(LANGUAGE),
        is_automatic=fields.flag(AUTOMATIC, False),
        limits=Limits(
            max(n_tokens, 1) if n_tokens >= 0 else None, fields.number("n", 1, 1, MAX_CHOICES)
        ),
        stops=fields.texts("stop", MAX_STOPS),
        streams=fields.flag("stream", False),
    )


def _parts(fields: Fields) -> Marked:
    """Return the text on both sides of the cursor."""
    prompt, suffix = _prompt(fields), fields.text("suffix")
    if "suffix" in fields and suffix:
        return Marked(prompt, suffix)
    return taken_apart(prompt) or Marked(prompt, suffix)


def _prompt(fields: Fields) -> str:
    """Return the one prompt, which may stand in a list."""
    value = fields.raw("prompt")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str):
        raise fields.wrong("prompt", "a string: the text before the cursor")
    return value


def result(answered: Answered, fields: Fields) -> Json:
    """Return the JSON of the response."""
    n_wanted = fields.number("n", 1, 1, MAX_CHOICES)
    choices = [
        _choice(index, text.text, _finish_reason(answered))
        for index, text in enumerate(answered.texts[:n_wanted])
    ]
    counts = {"usage": _usage(answered), "timings": timings_of(answered)}
    return {**_common(answered), "choices": choices, **counts}


def events(answered: Answered, fields: Fields) -> list[Json]:
    """Return the JSON of the events of a response that is streamed: the texts, then their ends."""
    common = _common(answered)
    texts = answered.texts[: fields.number("n", 1, 1, MAX_CHOICES)]
    found = [
        {**common, "choices": [_choice(index, each.text, None)]}
        for index, each in enumerate(texts)
        if each.text
    ]
    reason = _finish_reason(answered)
    found += [{**common, "choices": [_choice(index, "", reason)]} for index in range(len(texts))]
    if fields.within("stream_options").flag("include_usage", False):
        found.append({**common, "choices": [], "usage": _usage(answered)})
    return found


def _common(answered: Answered) -> Json:
    return {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": answered.model,
        "system_fingerprint": "longllama",
        "longllama": {"reason": answered.reason, "stop_reason": answered.stop_reason},
    }


def _choice(index: int, text: str, finish_reason: str | None) -> Json:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(answered: Answered) -> str:
    return "length" if answered.was_cut_off else "stop"


def _usage(answered: Answered) -> Json:
    timings = answered.timings
    n_cached = timings.prompt_tokens if answered.is_known else timings.reused_tokens
    n_written = 0 if answered.is_known else timings.generated_tokens
    return {
        "prompt_tokens": timings.prompt_tokens,
        "completion_tokens": n_written,
        "total_tokens": timings.prompt_tokens + n_written,
        "prompt_tokens_details": {"cached_tokens": n_cached},
    }
