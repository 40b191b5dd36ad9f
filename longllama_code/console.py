"""What both command lines share: output in any encoding, ports, text files, how a command ends."""

import argparse
import codecs
import io
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from longllama_code.errors import without_package

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
MAX_PORT = 65_535
_OUR_PACKAGES = ("", "longllama_code", "lsp_server")
"""Packages that lack nothing unless the program itself is wrong."""
_SUBSTITUTE = "longllama.substitute"
_PLAIN = {
    **{"→": "->", "─": "-", "…": "...", "█": "#", "░": "-", "⟦": "[[", "⟧": "]]", "−": "-"},
    **{"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "·": "-", "×": "x", "±": "+-"},
}
"""Signs of our own output, and what stands for them where the encoding lacks them."""


def run_command(program: str, run: Callable[[], int], expected: tuple[type[Exception], ...]) -> int:
    """Run a command, and return the exit code.

    Args:
        program: name of the program, which messages begin with.
        run: the command.
        expected: errors that end the command with their message alone.
    """
    accept_all_characters()
    try:
        code = run()
        _flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError as error:
        if _reader_is_gone():
            return 0
        return _failed(program, error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _OUR_PACKAGES:
            raise
        return _failed(program, f"{without_package(error, 'this command')}.")
    except expected as error:
        return _failed(program, error)


def accept_all_characters() -> None:
    r"""Let stdout and stderr take any text, whatever their encoding.

    A pipe may be in ASCII or cp1252, and a file's name may hold bytes that are no text. What the
    encoding lacks is written in plain signs or as an escape such as ``\xe9``.
    """
    codecs.register_error(_SUBSTITUTE, _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_SUBSTITUTE)


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without its byte order mark.

    Raises:
        ValueError: it is in another encoding; the message names the file.
        OSError: it cannot be read.
    """
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not encoded in UTF-8 (byte {error.start} is {error.object[error.start]:#x})"
            "; save it in UTF-8."
        ) from None


def port_number(text: str) -> int:
    """Return a port's number; argparse turns the error into a usage message."""
    if not (text.isascii() and text.isdigit() and int(text[:6]) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to {MAX_PORT}")
    return int(text[:6])


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(sign: str) -> str:
    return _PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode()


def _failed(program: str, error: Exception | str) -> int:
    print(f"{program}: {error}", file=sys.stderr)
    return 1


def _flush() -> None:
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - without a console
        sys.stdout.flush()


def _reader_is_gone() -> bool:
    """Whether stdout's reader, such as `head`, has closed the pipe; nothing is written then."""
    if not _is_closed_by_reader(sys.stdout.fileno()):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _is_closed_by_reader(pipe: int) -> bool:
    if not hasattr(select, "poll"):  # on Windows, where a pipe that is closed has another error
        return False
    poll = select.poll()
    poll.register(pipe, 0)  # errors alone, which are always reported
    return bool(poll.poll(0))
