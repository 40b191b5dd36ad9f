"""Opens a workbench with the extension on a sample workspace, or on a folder: `make vscode`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.vscode.materials import OFFICE, build_extension, write_workspace
from tests.vscode.tools import UnavailableError, install
from tests.vscode.workbench import workbench


def main() -> int:
    """Serve until interrupted; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="workspace folder")
    parser.add_argument("--port", type=int, default=8391, help="on loopback (%(default)s)")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="longllama-") as scratch:
            serve(Path(scratch), options.folder, options.port)
    except UnavailableError as reason:
        print(f"no workbench: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def serve(scratch: Path, folder: Path | None, port: int) -> None:
    """Serve the folder, or a sample; all that the workbench writes is in the scratch folder."""
    workspace = folder.resolve() if folder else scratch / "sample"
    if folder is None:
        write_workspace(workspace)
    with workbench(install(), scratch / "wb", build_extension(), port=port) as running:
        address = running.url(workspace, None if folder else workspace / OFFICE)
        typed = "" if folder else "\nand type: from harbour.pilots import MAX_"
        print(f"\nOpen {address}{typed}\nCtrl+C ends it.")
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
