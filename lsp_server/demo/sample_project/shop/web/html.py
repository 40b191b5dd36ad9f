"""HTML, with all text escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

Attribute = str | int | bool


class Markup(str):
    """Text that is HTML, and is not escaped again."""


def tag(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """Return an element; ``class_`` stands for ``class``."""
    opening = f"{name}{''.join(_attribute(*each) for each in attributes.items())}"
    return Markup(f"<{opening}>{''.join(map(_escaped, children))}</{name}>")


def void(name: str, /, **attributes: Attribute) -> Markup:
    """Return an element without content, such as ``input``."""
    return Markup(f"<{name}{''.join(_attribute(*each) for each in attributes.items())}>")


def join(parts: Iterable[str]) -> Markup:
    """Return the parts one after the other."""
    return Markup("".join(map(_escaped, parts)))


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Return a table with a head."""
    head = tag("tr", *(tag("th", column) for column in columns))
    body = (tag("tr", *(tag("td", cell) for cell in row)) for row in rows)
    return tag("table", tag("thead", head), tag("tbody", *body))


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(str(value))}"'


def _escaped(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)
