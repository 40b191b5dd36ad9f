"""A short prompt, for where the whole one would have to be processed while the user waits.

Both show the same definitions of what the file uses anywhere. Their keys and values, which were
computed when the file was opened, are copied, so a short prompt costs its own text alone.
"""

from dataclasses import replace

from longllama_code.generation.decoding.reading_speed import ReadingSpeed
from longllama_code.protocol import CompletionRequest

LOCAL_TOKENS = 128
"""Most tokens of the file itself on either side of the cursor."""
CURSOR_DEFINITION_TOKENS = 128
"""Most tokens of definitions that only the cursor needs."""
LEAST_UNREAD_TOKENS = 640
"""Unprocessed tokens of the whole prompt above which a short one is written from: some more than it
has itself, since it is processed besides."""


def comes_first(request: CompletionRequest, n_unread: int, speed: ReadingSpeed) -> bool:
    """Whether a short prompt is read before the whole one, and answers whoever waits.

    Args:
        request: the request.
        n_unread: number of tokens of its whole prompt that are not processed.
        speed: how fast prompts were processed so far.
    """
    most = request.short_after_ms
    if most is None or n_unread <= LEAST_UNREAD_TOKENS:
        return False
    wait = speed.seconds_for(n_unread)
    return most == 0 or (wait is not None and 1000 * wait > most)


def short(request: CompletionRequest) -> CompletionRequest:
    """Return the same request with a short prompt."""
    return replace(
        request,
        local_tokens=LOCAL_TOKENS,
        cursor_definition_tokens=CURSOR_DEFINITION_TOKENS,
        short_after_ms=None,
    )


def reading_name(request: CompletionRequest) -> str:
    """Return the name under which a file's processed prompts are kept: short ones are apart."""
    return f"{request.path}\0{request.local_tokens}" if request.local_tokens else request.path
