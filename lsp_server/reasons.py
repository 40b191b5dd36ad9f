"""Texts of errors, for messages."""

from longllama_code.errors import LongLlamaError

MAX_REASON_CHARS = 1_000
"""Length at which a reason is cut: it may quote what a repository holds."""


def reason_of(error: BaseException) -> str:
    """Return an error's text in one line of bounded length; its type, unless it is our own."""
    text = " ".join(printable(str(error)).split())
    if not isinstance(error, LongLlamaError | OSError) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= MAX_REASON_CHARS else f"{text[:MAX_REASON_CHARS]}…"


def printable(text: str) -> str:
    """Return a text with lone surrogates, which a client may send, as escapes: UTF-8 lacks them."""
    return text.encode("utf-8", "backslashreplace").decode()
