"""A name that does not exist where it is taken from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MissingName:
    """A name that a suggestion takes from where it does not exist."""

    name: str
    start: int
    """Offset of the name in the suggestion; below 0 if it begins before the cursor."""
    path: str
    """File that lacks it."""
    owner: str = ""
    """Class of that file whose member it would be; empty for a name of the module."""
    instead: frozenset[str] = frozenset()
    """Names that may stand in its place; empty for those of the module or class."""
