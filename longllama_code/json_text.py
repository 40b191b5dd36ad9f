"""Values in messages, as a user writes them into settings and configurations: as JSON."""

import json


def as_json(value: object, max_chars: int | None = None) -> str:
    r"""Return a value as JSON, in one line.

    What JSON lacks, such as the dates of TOML, is a string. Letters of other scripts stay as they
    are; what cannot be seen, such as a mark that turns the direction of writing, is escaped.

    Args:
        value: of any type.
        max_chars: length at which it is cut; None: it is whole.

    Example: ``{"mode": "auto", "on": true}``.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        return "an object of too many levels"
    text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text if max_chars is None or len(text) <= max_chars else f"{text[:max_chars]}…"
