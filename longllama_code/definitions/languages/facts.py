"""What the text of one file says: what it defines, imports, and what its values are.

A function of the text alone, so it can be kept by the text's hash. Lines count from 1, inclusive.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

Kind = Literal["function", "method", "class", "constant", "attribute"]
"""A class is any type with members: interfaces, structs, traits and enumerations too."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Something with a name that other files may use."""

    name: str
    kind: Kind
    shown: str
    """Text for a model, in the language itself, without the definition's body: a function's
    signature, a class's head, a constant's or an attribute's line. Indented as in the file."""
    first_line: int
    last_line: int
    _: KW_ONLY
    owner: str = ""
    """The class that it is a member of; of classes within classes, all their names with dots."""
    bases: tuple[str, ...] = ()
    """What a class extends or implements, as it is written."""
    type: str = ""
    """The type of its value as it is written, or what is called to make it: an annotation, what a
    function returns, ``Store`` in ``store = Store(path)``."""
    documentation: str = ""
    """The first line of it."""
    is_private: bool = False
    """Whether only its class, its file or its package can use it, by what the language says."""
    is_static: bool = False
    """Whether it is a member that is asked of the class itself, in languages that tell."""


@dataclass(frozen=True, slots=True)
class Import:
    """A name of this file that stands for something of another one."""

    alias: str
    """The name here; ``*`` where everything of the module is meant."""
    module: str
    """The module as it is written, with the dots or slashes that it begins with."""
    name: str = ""
    """The name there; empty, the module itself is meant."""
    line: int = 0
    is_public: bool = False
    """Whether the name can be had from this file, too, by what the language says."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A variable, a parameter or an attribute whose type is written, or can be seen."""

    name: str
    """``store``, or ``self.store``."""
    type: str
    """Its type as it is written, or what is called to make it, as ``Definition`` has it."""
    line: int
    first_line: int
    """First line of the function or the class that it can be seen in; 1 for the whole file."""
    last_line: int
    owner: str = ""
    """The class around, with the names of those around that."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """All that is known of a file."""

    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    bindings: tuple[Binding, ...] = ()
    package: str = ""
    """The package that the file says it is of, in languages where files do."""
