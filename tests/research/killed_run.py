"""A run that is killed without notice, as by a machine that is turned off."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import ROOT

NEEDS_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")


def kill_run(script: str, folder: Path) -> None:
    """Run a script in a process of its own, and kill it behind its third checkpoint or later.

    Args:
        script: code that trains.
        folder: where it writes its checkpoints; gets what a kill while saving leaves.
    """
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint-[3-9]*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (folder / "checkpoint.partial").mkdir(exist_ok=True)
