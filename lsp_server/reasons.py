"""Texts of errors, for messages."""

import traceback
from pathlib import Path

from longllama_code.errors import LongLlamaError

MAX_REASON_CHARS = 1_000
"""Length at which a reason is cut: it may quote what a repository holds."""


def reason_of(error: BaseException) -> str:
    """Return an error's text in one line of bounded length; its type, unless it is our own."""
    text = " ".join(printable(str(error)).split())
    if not isinstance(error, LongLlamaError | OSError) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= MAX_REASON_CHARS else f"{text[:MAX_REASON_CHARS]}…"


def place_of(error: BaseException) -> str:
    """Return where in our code an error was raised, without values: they may be source code."""
    frames = reversed(traceback.extract_tb(error.__traceback__)[-3:])
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return places or "an unknown place"


def printable(text: str) -> str:
    """Return a text with lone surrogates, which a client may send, as escapes: UTF-8 lacks them."""
    return text.encode("utf-8", "backslashreplace").decode()
