"""The built extension, and one window of a real workbench with it, shared by the tests of a module.

A machine without npm, Node's and code-server's packages, or Chromium skips, and says what it lacks.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from longllama_code.model_sources import catalog
from tests.vscode.materials import OFFICE, REPOSITORY, build_extension, write_workspace
from tests.vscode.tools import Tools, UnavailableError, chromium, install

if TYPE_CHECKING:
    from tests.vscode.window import Window

PICTURES = REPOSITORY / "build" / "vscode"
"""Where screenshots are kept."""
MODEL = "mini"
"""Small, so that a test waits for the workbench alone."""


@pytest.fixture(scope="session")
def vsix() -> Path:
    """The built extension."""
    try:
        return build_extension()
    except UnavailableError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The programs of a workbench; its model is there as well."""
    try:
        chromium()
        found = install()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    catalog.pull(MODEL)
    return found


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample workspace."""
    root = tmp_path_factory.mktemp("workspace")
    write_workspace(root)
    return root


@pytest.fixture(scope="module")
def window(
    vsix: Path,
    tools: Tools,
    workspace: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator["Window"]:
    """The workbench on the workspace's office.py, with the small model and no other setting."""
    # Only modules that have looked for playwright get here.
    from tests.vscode.window import browse
    from tests.vscode.workbench import workbench

    PICTURES.mkdir(parents=True, exist_ok=True)
    # Sockets lie in this folder, and their paths end at 107 bytes.
    folder = tmp_path_factory.mktemp("wb")
    trusting = getattr(request.module, "TRUSTING", True)
    with (
        workbench(tools, folder, vsix, trusting=trusting, model=MODEL) as running,
        browse(PICTURES) as opened,
    ):
        opened.open(running.url(workspace, workspace / OFFICE))
        yield opened
