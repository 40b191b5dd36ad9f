"""Scopes of Python code, while their statements are read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class Scope:
    """A class, a function or the file, while its statements are read.

    Attributes:
        end: byte at which it ends.
        first: its first line, from 1.
        last: its last line, inclusive.
        owner: name of the class around, with the names of the classes around that.
        function: name of the function; empty in a class and at the top of the file.
        seen: names that the file or the class has defined so far.
        returned: type that the function's last ``return`` gave.
        class_scope: scope of the class that a method belongs to.
        is_hidden: whether other files cannot see what is defined here.
        definition: index of the function's definition; None if it has none.
    """

    end: int
    first: int
    last: int
    owner: str = ""
    function: str = ""
    seen: set[str] = field(default_factory=set[str])
    returned: str = ""
    class_scope: Scope | None = None
    is_hidden: bool = False
    definition: int | None = None
