"""A text as a model reads it."""


def model_text(text: str) -> str:
    r"""Return a text as a model reads it.

    ``\r\n``, and a ``\r`` alone, become ``\n``, so that a repository has one memory however git
    checked it out. A lone surrogate, which a client may send and no codec takes, becomes a
    replacement character.
    """
    if not text.isascii():  # no copy of long texts without need
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
