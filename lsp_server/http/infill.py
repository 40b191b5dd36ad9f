"""``POST /infill``, as llama.cpp's server has it, for llama.vim, llama.vscode and their like.

Facts are from llama.cpp's ``tools/server``: ``post_infill`` of ``server-context.cpp`` for what is
read, ``to_json_non_oaicompat`` of ``server-task.cpp`` for what is sent, and ``README.md``. Options
of sampling, slots and caches are accepted and change nothing.
"""

from typing import Any

from starlette.requests import Request

from lsp_server.http.asked import Asked, Cut
from lsp_server.http.errors import invalid
from lsp_server.http.fields import Fields
from lsp_server.http.requests import (
    AUTOMATIC,
    LANGUAGE,
    MAX_TOKENS,
    file_of,
    is_path,
)
from lsp_server.http.suggesting import Answered
from lsp_server.suggestions.cursor_context import Limits

Json = dict[str, Any]

MAX_EXTRA = 256
MAX_HINTS = 32
MAX_STOPS = 64
MAX_FIELDS = 128
MAX_INDENT = 10_000
MAX_CANDIDATES = 64
MAX_MS = 1 << 53


def asked_by(request: Request, fields: Fields) -> Asked:
    """Return what a request to ``/infill`` asks.

    Raises:
        Refused: a field is missing or wrong.
    """
    for name in ("input_prefix", "input_suffix"):
        if fields.raw(name) is None:
            raise invalid(f"{name!r} is missing; send the text on both sides of the cursor.", name)
    prompt, suffix = fields.text("prompt"), fields.text("input_suffix")
    before = fields.text("input_prefix") + prompt
    n_indent = fields.number("n_indent", 0, 0, MAX_INDENT)
    indentation = _left_out(before, prompt, suffix, n_indent)
    return Asked(
        before=before + indentation,
        after=suffix,
        file=file_of(request, fields),
        language=fields.text(LANGUAGE),
        hints=tuple(filter(is_path, _extra_files(fields)))[:MAX_HINTS],
        is_automatic=fields.flag(AUTOMATIC, True),
        limits=_limits(fields),
        stops=fields.texts("stop", MAX_STOPS),
        n_indent=n_indent,
        indentation=indentation,
        streams=fields.flag("stream", False),
    )


def is_for_later(fields: Fields) -> bool:
    """Whether a request wants no text, but has the model read what will be asked about."""
    return fields.number("n_predict", -1, -1, MAX_TOKENS) == 0


def _limits(fields: Fields) -> Limits:
    n_predict = fields.number("n_predict", -1, -1, MAX_TOKENS)
    if n_predict < 0:
        n_predict = fields.number("max_tokens", -1, -1, MAX_TOKENS)
    writing_ms = fields.number("t_max_predict_ms", -1, -1, MAX_MS)
    return Limits(
        max(n_predict, 1) if n_predict >= 0 else None,
        fields.number("n_cmpl", 1, 1, MAX_CANDIDATES),
        writing_ms if writing_ms > 0 else None,
    )


def _left_out(before: str, prompt: str, suffix: str, n_indent: int) -> str:
    """Return the indentation that llama.vscode takes off a line of blanks alone.

    The client expects it at the beginning of the answer, and cuts it off there.
    """
    is_blank_line = not prompt and before.endswith("\n") and not suffix.partition("\n")[0].strip()
    if not n_indent or not is_blank_line:
        return ""
    above = (line for line in reversed(before[-10_000:].split("\n")) if line.strip())
    return ("\t" if next(above, "").startswith("\t") else " ") * n_indent


def _extra_files(fields: Fields) -> list[str]:
    """Return the names of the files that chunks are from, the last that was visited first."""
    names: list[str] = []
    for chunk in fields.objects("input_extra", MAX_EXTRA):
        if not isinstance(chunk.raw("text"), str):
            raise chunk.wrong("text", "a string: the text of a chunk of 'input_extra'")
        names.append(chunk.text("filename"))
    return [name for name in dict.fromkeys(reversed(names)) if name]


def results(answered: Answered, fields: Fields) -> Json | list[Json]:
    """Return the JSON of the response: an object, or a list if several texts were wanted.

    Raises:
        Refused: ``response_fields`` is wrong.
    """
    wanted = fields.texts("response_fields", MAX_FIELDS)
    n_wanted = fields.number("n_cmpl", 1, 1, MAX_CANDIDATES)
    found = [
        _chosen(_result(answered, fields, index, text), wanted)
        for index, text in enumerate(answered.texts[:n_wanted])
    ]
    return found if n_wanted > 1 else found[0]


def events(answered: Answered, fields: Fields) -> list[Json]:
    """Return the JSON of the events of a response that is streamed: the text, then all else."""
    whole = _result(answered, fields, 0, answered.texts[0])
    names = ("index", "content", "tokens", "id_slot", "tokens_predicted", "tokens_evaluated")
    first = {**{name: whole[name] for name in names}, "stop": False}
    last = {**whole, "content": ""}
    wanted = fields.texts("response_fields", MAX_FIELDS)
    return [first, _chosen(last, wanted)] if whole["content"] else [_chosen(last, wanted)]


def _result(answered: Answered, fields: Fields, index: int, text: Cut) -> Json:
    timings = answered.timings
    n_predicted = 0 if answered.is_known else timings.generated_tokens
    return {
        "index": index,
        "content": text.text,
        "tokens": [],
        "id_slot": fields.raw("id_slot") if isinstance(fields.raw("id_slot"), int) else -1,
        "stop": True,
        "model": answered.model,
        "tokens_predicted": n_predicted,
        "tokens_evaluated": timings.prompt_tokens,
        "generation_settings": _generation_settings(answered),
        "prompt": fields.text("prompt"),
        "has_new_line": "\n" in text.text,
        "truncated": False,
        "stop_type": _stop_type(answered, text),
        "stopping_word": text.stopped_by,
        "tokens_cached": timings.prompt_tokens + n_predicted,
        "timings": timings_of(answered),
        "longllama": {"reason": answered.reason, "stop_reason": answered.stop_reason},
    }


def _generation_settings(answered: Answered) -> Json:
    asked = answered.asked
    return {
        "n_predict": -1 if asked.limits.max_tokens is None else asked.limits.max_tokens,
        "temperature": 0.0,
        "stop": [*asked.stops],
        "stream": asked.streams,
        "n_indent": asked.n_indent,
    }


def _stop_type(answered: Answered, text: Cut) -> str:
    if text.stopped_by:
        return "word"
    if answered.stop_reason is None:
        return "none"
    return "limit" if answered.was_cut_off else "eos"


def timings_of(answered: Answered) -> Json:
    """Return counts and times as llama.cpp's server has them; none where no work was done."""
    timings = answered.timings
    if answered.is_known:
        return _rates(timings.prompt_tokens, 0, 0.0, 0, 0.0)
    n_read = max(0, timings.prompt_tokens - timings.reused_tokens)
    n_predicted = timings.generated_tokens
    return _rates(timings.reused_tokens, n_read, timings.prefill_ms, n_predicted, timings.decode_ms)


def _rates(
    n_cached: int, n_read: int, read_ms: float, n_predicted: int, predicted_ms: float
) -> Json:
    return {
        "cache_n": n_cached,
        "prompt_n": n_read,
        "prompt_ms": read_ms,
        "prompt_per_token_ms": read_ms / n_read if n_read else 0.0,
        "prompt_per_second": 1000 * n_read / read_ms if read_ms else 0.0,
        "predicted_n": n_predicted,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": predicted_ms / n_predicted if n_predicted else 0.0,
        "predicted_per_second": 1000 * n_predicted / predicted_ms if predicted_ms else 0.0,
    }


def _chosen(result: Json, wanted: tuple[str, ...]) -> Json:
    """Return the fields that ``response_fields`` names: ``a/b`` is ``b`` in ``a``."""
    if not wanted:
        return result
    chosen: Json = {}
    for path in wanted:
        value: Any = result
        for name in path.split("/"):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            chosen[path] = value
    return chosen
