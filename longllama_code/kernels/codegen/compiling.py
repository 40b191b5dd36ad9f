"""Decorators that compile kernels.

What is compiled is kept in our cache folder, or else where numba keeps it by itself. Where nothing
can be written, kernels are compiled in memory. numba compiles a kernel anew when its own file
changes, but not when a constant or a function of another file does, which would leave a kernel that
writes where it must not. So each state of all kernels' sources has a folder of its own.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc

from longllama_code.errors import ConfigError
from longllama_code.paths import cache_root

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = "kernels"
"""Name of the folder of compiled kernels in the cache folder."""
SOURCES = Path(__file__).parents[1]
"""Folder of all kernels' sources."""
KEPT_S = 14 * 24 * 3600
"""Time that compiled kernels of other sources are kept after their last use."""


def kernel(function: F) -> F:
    """Compile a function for this CPU at its first call, to run without Python's global lock.

    Floats are summed in the order of the code, so a row's result does not depend on its batch.
    """
    return cast("F", _cached(numba.njit(nogil=True)(function), function))


def loose_kernel(function: F) -> F:
    """Compile a function with sums in the fastest order, which is the same at every call."""
    return cast("F", _cached(numba.njit(nogil=True, fastmath=True)(function), function))


class Callback:
    """Kernel of one address, ``void(int64)``, that other kernels call by its own address.

    A kernel that is called by name is compiled into each caller, with all that it calls, and again
    into each caller of that. One that is called by its address is compiled once.

    Args:
        function: the kernel; nothing is compiled before ``address`` is asked for.
    """

    def __init__(self, function: Callable[[int], None]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._compiled: Any = None

    @property
    def address(self) -> int:
        """Address of the compiled kernel."""
        with self._lock:
            if self._compiled is None:
                compiled: Any = CFunc(self._function, ((types.int64,), types.void), {}, {})
                self._compiled = _cached(compiled, self._function)
                compiled.compile()
            return self._compiled.address


def were_compiled(work: str) -> bool:
    """Whether the kernels of some work were compiled and kept before, for a CPU like this one."""
    mark = _mark(work)
    return mark is not None and mark.exists()


def note_compiled(work: str) -> None:
    """Note that the kernels of some work are compiled, unless some could not be kept."""
    mark = _mark(work)
    if mark is not None and not _note_unusable.cache_info().currsize:
        with suppress(OSError):
            mark.touch()


def _mark(work: str) -> Path | None:
    """Return the file that says what ``were_compiled`` does; None if there is no place for it."""
    _choose_folder()
    folder = str(getattr(config, "CACHE_DIR", ""))
    cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    made_by = repr((work, numba.__version__, *cpu)).encode()
    name = hashlib.blake2b(made_by, digest_size=8).hexdigest()
    return Path(folder) / f"compiled-{name}" if folder else None


class _LenientCache(FunctionCache):
    """numba's cache of one function; where it cannot be read or written, the function is compiled.

    The disk may be full, and a file damaged.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature; None to compile it."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:
            _note_unusable(str(self.cache_path), type(error).__name__)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _note_unusable(str(self.cache_path), type(error).__name__)


def _cached(dispatcher: Any, function: Any) -> Any:
    """Let numba keep what it compiles of a function, if there is a place to write."""
    if not hasattr(dispatcher, "enable_caching"):  # numba is turned off, for a debugger
        return dispatcher
    _choose_folder()
    try:
        dispatcher._cache = _LenientCache(function)
    except (RuntimeError, OSError):  # numba found no place
        _note_unusable("no folder", "none can be written")
    return dispatcher


@lru_cache(maxsize=1)
def _choose_folder() -> None:
    """Have numba use our cache folder, unless the user named another by ``$NUMBA_CACHE_DIR``."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    try:
        folder = cache_root() / FOLDER / digest_of_sources(SOURCES)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        _drop_old(folder)
    except (ConfigError, OSError) as error:
        logger.info("kernels are not kept in our cache folder: %s", error)
        return
    config.CACHE_DIR = str(folder)  # pyright: ignore[reportAttributeAccessIssue]


def digest_of_sources(folder: Path) -> str:
    """Return a digest of all Python files in a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _drop_old(folder: Path) -> None:
    """Note that a folder is used; remove folders beside it that were not for some time."""
    os.utime(folder)
    for other in folder.parent.iterdir():
        if other != folder and time.time() - other.stat().st_mtime > KEPT_S:
            shutil.rmtree(other, ignore_errors=True)


@lru_cache(maxsize=8)
def _note_unusable(place: str, reason: str) -> None:
    logger.warning(
        "compiled kernels are not kept in %s (%s): they are compiled at each start", place, reason
    )
