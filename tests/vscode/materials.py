"""What a workbench is given: the built extension, and a workspace to try it on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from tests.paths import ROOT
from tests.vscode.tools import UnavailableError

REPOSITORY = ROOT
EXTENSION = REPOSITORY / "editor-client" / "vscode"
HARBOUR = REPOSITORY / "tests" / "data" / "harbour"
OFFICE = Path("harbour", "office.py")
"""The file to type into."""
BUILT = REPOSITORY / "build" / "vscode-built"
"""Names the run of tests that has built the extension; beside it lies the lock of who builds."""


def build_extension() -> Path:
    """The .vsix, as `npm run package` builds it: once for all processes of a run of tests.

    To build removes what was built, and others of the run read that.

    Raises:
        UnavailableError: there is no npm.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not on the PATH; install Node.js 20 or newer")
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # without it, one process is all of the run
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILT.with_suffix(".lock")):
        if run is None or not BUILT.is_file() or BUILT.read_text() != run:
            _build(npm)
            BUILT.write_text(run or "")
    return EXTENSION / "dist" / "longllama-code.vsix"


def _build(npm: str) -> None:
    if not (EXTENSION / "node_modules").is_dir():
        subprocess.run([npm, "ci"], cwd=EXTENSION, check=True, timeout=600)
    environment = {**os.environ, "PYTHON": sys.executable}
    package = [npm, "run", "package"]
    subprocess.run(package, cwd=EXTENSION, check=True, timeout=900, env=environment)


def write_workspace(root: Path) -> None:
    """A package whose names another file wants, and the environment that holds the server."""
    shutil.copytree(HARBOUR, root / "harbour", ignore=shutil.ignore_patterns("__pycache__"))
    (root / OFFICE).write_text('"""The harbour office."""\n\n')
    (root / ".venv").symlink_to(sys.prefix)
