"""Reading files that somebody else may have put there: regular ones only, up to a limit.

A repository can hold links to devices, pipes, and files that grow without end.
"""

import errno
import os
import stat
from pathlib import Path

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for somebody to write into it
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the beginning of a file, `max_bytes` at most; links are followed.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    # Before it is opened: to open a device may do something.
    _check_regular(path, path.stat())
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _check_regular(path, os.fstat(file.fileno()))
        return file.read(max_bytes)


def read_regular_inside(path: Path, folder: Path, max_bytes: int) -> bytes:
    """Return the beginning of a file that is inside a folder, wherever links lead.

    Raises:
        OSError: it cannot be read, is not a regular file, or is outside the folder.
    """
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(folder)):
        raise OSError(errno.EXDEV, f"links to a file outside {folder}", str(path))
    return read_regular(real, max_bytes)


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
