"""The built extension, and one window of a real workbench with it, shared by the tests of a module.

A machine without npm, Node's and code-server's packages, or Chromium skips, and says what it lacks.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longllama_code import catalog
from tests.vscode.tools import UnavailableError, chromium, install

if TYPE_CHECKING:
    from tests.vscode.window import Window

REPOSITORY = Path(__file__).parents[2]
EXTENSION = REPOSITORY / "editor-client" / "vscode"
HARBOUR = REPOSITORY / "tests" / "data" / "harbour"
PICTURES = REPOSITORY / "build" / "vscode"
"""Where screenshots are kept."""


@pytest.fixture(scope="session")
def vsix() -> Path:
    """The extension, as `npm run package` builds it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on the PATH; install Node.js 20 or newer")
    if not (EXTENSION / "node_modules").is_dir():
        subprocess.run([npm, "ci"], cwd=EXTENSION, check=True, timeout=600)
    environment = {**os.environ, "PYTHON": sys.executable}
    package = [npm, "run", "package"]
    subprocess.run(package, cwd=EXTENSION, check=True, timeout=300, env=environment)
    return EXTENSION / "dist" / "longllama-code.vsix"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose names another file wants, and the environment that holds the server."""
    root = tmp_path_factory.mktemp("workspace")
    shutil.copytree(HARBOUR, root / "harbour", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "harbour" / "office.py").write_text('"""The harbour office."""\n\n')
    (root / ".venv").symlink_to(sys.prefix)
    return root


@pytest.fixture(scope="module")
def window(
    vsix: Path, workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Window"]:
    """The workbench on the workspace's office.py, with the default model and no setting of ours."""
    # Only a module that has looked for playwright gets here.
    from tests.vscode.window import browse
    from tests.vscode.workbench import workbench

    try:
        tools, _ = install(), chromium()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    catalog.pull("mini")
    PICTURES.mkdir(parents=True, exist_ok=True)
    # Sockets lie in this folder, and their paths end at 107 bytes.
    folder = tmp_path_factory.mktemp("wb")
    with workbench(tools, folder, vsix) as running, browse(PICTURES) as opened:
        opened.open(running.url(workspace, workspace / "harbour" / "office.py"))
        yield opened
