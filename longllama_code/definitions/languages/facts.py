"""Facts of one file: its definitions, imports and variables.

They depend on the text alone, so they can be cached by its hash. Lines count from 1, inclusive.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

Kind = Literal["function", "method", "class", "constant", "attribute"]
"""Kind of a definition; a class is any type with members, such as an interface or an enum."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A named definition that other files may use."""

    name: str
    kind: Kind
    shown: str
    """Text for a model, in the language itself, without the definition's body: a function's
    signature, a class's head, a constant's or an attribute's line. Indented as in the file."""
    first_line: int
    last_line: int
    _: KW_ONLY
    owner: str = ""
    """Class that it is a member of; for nested classes ``Outer.Inner``."""
    bases: tuple[str, ...] = ()
    """Classes that a class extends or implements, as written."""
    type: str = ""
    """Type of its value as written: an annotation, a return type, or the function called to make it
    (``Store`` in ``store = Store(path)``)."""
    documentation: str = ""
    """First line of its documentation."""
    is_private: bool = False
    """Whether the language restricts it to its class, file or package."""
    is_static: bool = False
    """Whether it is a member of the class itself, in languages that mark such members."""

    @property
    def full_name(self) -> str:
        """Name with those of the classes around it: ``Outer.Inner.name``."""
        return f"{self.owner}.{self.name}" if self.owner else self.name


@dataclass(frozen=True, slots=True)
class Import:
    """A name of this file that refers to another one."""

    alias: str
    """Name in this file; ``*`` for everything in the module."""
    module: str
    """Module as written, with its leading dots or slashes."""
    name: str = ""
    """Name in the module; empty for the module itself."""
    line: int = 0
    is_public: bool = False
    """Whether other files can import the name from this one."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A variable, parameter or attribute whose type is known."""

    name: str
    """``store``, or ``self.store``."""
    type: str
    """Type as in ``Definition.type``."""
    line: int
    first_line: int
    """First line of the function or class that it is visible in; 1 for the whole file."""
    last_line: int
    owner: str = ""
    """Class around it, as in ``Definition.owner``."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """All facts of a file."""

    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    bindings: tuple[Binding, ...] = ()
    package: str = ""
    """Package that the file declares, in languages where files do."""
