"""A part of torch that kernels do not need, imported only where something asks for it.

``torch._meta_registrations`` has results' shapes for tensors without numbers, which torch's
compiler computes with. It takes a third of the time of ``import torch``, as it brings the
definitions of thousands of operations in Python. An engine whose model is run by kernels uses none.

    postpone()    before the first ``import torch``
    complete()    before torch runs a model; asking for a name of the part, or importing torch's
                  compiler or those definitions, does the same
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PART = "torch._meta_registrations"
NEEDING = frozenset(("torch._decomp", "torch._dynamo", "torch._inductor"))
"""Modules that rely on the part without asking for a name of it."""


def postpone() -> None:
    """Have ``import torch`` leave out the part; nothing happens if torch was imported already."""
    if "torch" not in sys.modules:
        _FINDER.is_active = True
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)


def complete() -> None:
    """Import the part, if it was left out."""
    _FINDER.is_active = False
    part = sys.modules.get(PART)
    if isinstance(part, _Postponed):
        _run(part)


class _Postponed(ModuleType):
    """The module before it is run; asking for any of its names runs it."""

    def __init__(self, name: str, loader: Loader) -> None:
        super().__init__(name)
        self.__dict__["_postponed"] = loader, threading.RLock()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # of those that look through all modules
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        complete()
        return getattr(self, name)


def _run(part: ModuleType) -> None:
    """Run a module that was left out, once."""
    loader, lock = part.__dict__["_postponed"]
    with lock:
        if isinstance(part, _Postponed):
            object.__setattr__(part, "__class__", ModuleType)  # its own code asks for names, too
            loader.exec_module(part)


class _PostponedLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Postponed(spec.name, self._loader)

    def exec_module(self, module: ModuleType) -> None:
        """Leave it for later."""


class _Finder(MetaPathFinder):
    """Finder of the part; other modules are found as ever."""

    is_active = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where the part is, to be run later; None for other modules."""
        if fullname in NEEDING and PART in sys.modules:
            complete()
        if fullname != PART or not self.is_active:
            return None
        others = (each for each in sys.meta_path if each is not self)
        found = (each.find_spec(fullname, path, target) for each in others)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _PostponedLoader(spec.loader)
        return spec


_FINDER = _Finder()
