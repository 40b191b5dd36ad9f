"""Requests of llama.vscode to llama.cpp: what they take from a document, and their fields.

Facts are from llama.vscode 0.0.63: ``src/completion.ts``, ``src/utils.ts`` and
``createRequestPayload`` of ``src/llama-server.ts``; defaults from its ``package.json``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsp_server.benchmarks.systems.ring import Chunk

Json = dict[str, Any]

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = " \t"
SAMPLERS = ("top_k", "top_p", "infill")
N_COMPLETIONS = 1
"""Number of suggestions a request; llama.vscode asks for three."""
UPDATE_PREDICT_MS = 1


@dataclass(frozen=True)
class Settings:
    """Settings of llama.vscode, under its names and with its defaults but for `top_k`."""

    n_prefix: int = 256
    """Number of lines before the cursor's."""
    n_suffix: int = 64
    """Number of lines after the cursor's."""
    n_predict: int = 128
    """Most tokens of a suggestion."""
    top_k: int = 1
    """Number of tokens to sample from: 1 is greedy decoding; llama.vscode has 40."""
    top_p: float = 0.99
    t_max_prompt_ms: int = 500
    """llama.cpp ignores it so far."""
    t_max_predict_ms: int = 500
    """Time after which a suggestion ends with its line; its first line is always complete."""
    max_line_suffix: int = 8
    """Most characters after the cursor in its line for an automatic request."""
    max_cache_keys: int = 250
    """Most prompts whose suggestions are kept."""
    debounce_ms: int = 0
    """Quiet time before an automatic request."""
    asks_ahead: bool = True
    """Whether it asks for what would follow each suggestion; llama.vscode always does."""


@dataclass(frozen=True)
class Cursor:
    """Place in a document."""

    lines: Sequence[str]
    """All lines of the document, without their ends."""
    line: int
    """Index of the line."""
    character: int
    """Number of code points before the cursor in its line."""

    @property
    def line_prefix(self) -> str:
        """Text before the cursor in its line."""
        return self.lines[self.line][: self.character]

    @property
    def line_suffix(self) -> str:
        """Text after the cursor in its line."""
        return self.lines[self.line][self.character :]


@dataclass(frozen=True)
class Prompt:
    """Text around a cursor, as a request has it."""

    prefix: str
    """Lines before the cursor's (``input_prefix``)."""
    suffix: str
    """The rest of the cursor's line and the lines after it (``input_suffix``)."""
    prompt: str
    """Beginning of the cursor's line; empty if it is only indentation."""

    @property
    def key(self) -> str:
        """Key of the prompt among kept suggestions."""
        return f"{self.prefix}|{self.suffix}|{self.prompt}"


def split_lines(text: str) -> list[str]:
    """Return the lines of a text, as an editor counts them, without their ends."""
    return _LINE_END.split(text)


def cursor_at(text: str, offset: int) -> Cursor:
    r"""Return the cursor at an offset in code points; inside of ``\r\n`` it is before both.

    Raises:
        ValueError: the offset is not in the text.
    """
    if not 0 <= offset <= len(text):
        raise ValueError(f"the offset {offset} is outside of the document, 0 to {len(text)}.")
    if text[max(offset - 1, 0) : offset + 1] == "\r\n":
        offset -= 1
    before = split_lines(text[:offset])
    return Cursor(split_lines(text), len(before) - 1, len(before[-1]))


def prompt_at(cursor: Cursor, settings: Settings) -> Prompt:
    """Return the prompt of a cursor."""
    lines, line = cursor.lines, cursor.line
    before = lines[max(0, line - settings.n_prefix) : line]
    after = lines[line + 1 : line + 1 + settings.n_suffix]
    start = cursor.line_prefix
    return Prompt(
        "\n".join(before) + "\n",
        cursor.line_suffix + "\n" + "\n".join(after) + "\n",
        start if start.strip(_BLANK) else "",
    )


def completion_request(
    prompt: Prompt, n_indent: int, chunks: Sequence[Chunk], settings: Settings
) -> Json:
    """Return the body of a request for a suggestion.

    Args:
        prompt: text around the cursor.
        n_indent: width of the indentation that later lines must have, in characters.
        chunks: chunks of the ring.
        settings: the settings.
    """
    body: Json = {
        **_common(prompt, chunks, settings),
        "n_predict": settings.n_predict,
        "n_cmpl": N_COMPLETIONS,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "stream": False,
        "samplers": [*SAMPLERS],
        "t_max_predict_ms": settings.t_max_predict_ms,
    }
    return {**body, "n_indent": n_indent} if n_indent else body


def update_request(chunks: Sequence[Chunk], settings: Settings) -> Json:
    """Return the body of the request that has the chunks processed before they are needed."""
    return {
        **_common(Prompt("", "", ""), chunks, settings),
        "n_predict": 0,
        "samplers": [],
        "t_max_predict_ms": UPDATE_PREDICT_MS,
    }


def indentation(line: str) -> int:
    """Return the number of characters that a line is indented by; a blank line counts whole."""
    return len(line) - len(line.lstrip())


def _common(prompt: Prompt, chunks: Sequence[Chunk], settings: Settings) -> Json:
    return {
        "id_slot": 0,
        "input_prefix": prompt.prefix,
        "input_suffix": prompt.suffix,
        "input_extra": [
            {"text": chunk.text, "time": chunk.time_ms, "filename": chunk.file} for chunk in chunks
        ],
        "prompt": prompt.prompt,
        "cache_prompt": True,
        "t_max_prompt_ms": settings.t_max_prompt_ms,
    }
