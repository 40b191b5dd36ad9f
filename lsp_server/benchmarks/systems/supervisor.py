"""Running a command that ends with the process that started it, however that one ends.

The parent holds the other end of this process' stdin. Its end closes the pipe, even if it is
killed; then the command is terminated. Works on any system, unlike signals on a parent's death.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

EXIT_TIMEOUT_S = 5.0
"""Time that a command has to end by itself."""


def main() -> int:
    """Run the command of the arguments until it ends or stdin does; return its exit code."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    signal.signal(signal.SIGTERM, lambda _signal, _frame: child.terminate())
    threading.Thread(target=_end_with_stdin, args=(child,), daemon=True).start()
    return child.wait() & 0xFF


def _end_with_stdin(child: "subprocess.Popen[bytes]") -> None:
    # Not `sys.stdin`, whose lock this thread would hold when the interpreter ends.
    with suppress(OSError):
        while os.read(0, 1):
            pass
    child.terminate()
    try:
        child.wait(EXIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
