"""Activation time of the VS Code extension, as VS Code measures it.

Each run is a window of its own in a real workbench (code-server, headless Chromium), so each has an
extension host that has not seen the extension before; the server that it starts is a real one. The
numbers are VS Code's own, of "Startup Performance": reading the code, and calling ``activate``.

Usage: python tests/bench/activation.py [--runs 3]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

# Run as a file, this has the folder tests/bench on its path, and needs the repository there.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.vscode.materials import OFFICE, build_extension, write_workspace
from tests.vscode.tools import install
from tests.vscode.window import browse
from tests.vscode.workbench import Workbench, workbench

AIM_MS = 100


def one_run(running: Workbench, workspace: Path, pictures: Path) -> tuple[int, int]:
    """Milliseconds that VS Code waited for the extension's code, and for ``activate``."""
    with browse(pictures) as window:
        window.open(running.url(workspace, workspace / OFFICE))
        window.expect_status("tokens")
        return window.activation_ms()


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as scratch:
        workspace, pictures = Path(scratch, "ws"), Path(scratch, "pictures")
        write_workspace(workspace)
        pictures.mkdir()
        with workbench(install(), Path(scratch, "wb"), build_extension(), model="mini") as running:
            runs = [one_run(running, workspace, pictures) for _ in range(options.runs)]
    for load, call in runs:
        print(f"code {load:4} ms   activate {call:4} ms   together {load + call:4} ms")
    print(json.dumps({"activation_ms": runs, "aim_ms": AIM_MS}))


if __name__ == "__main__":
    main()
