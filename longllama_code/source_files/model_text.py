"""A text as a model reads it."""


def model_text(text: str) -> str:
    r"""Return a text as a model reads it.

    ``\r\n`` becomes ``\n``, so that a repository has one memory however git checked it out. A lone
    surrogate, which a client may send and no codec takes, becomes a replacement character.
    """
    if text.isascii():  # no copy of long texts without need
        return text.replace("\r\n", "\n")
    well_formed = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return well_formed.replace("\r\n", "\n")
