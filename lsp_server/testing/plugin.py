"""Fixtures that pytest finds through the entry point ``pytest11``.

Every pytest run in the environment imports this module, so the rest of the package is imported only
when a fixture is used.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lsp_server.testing.client import Editor, StartEditor

TIMEOUT_S = 60.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option ``longllama_timeout_s``."""
    parser.addini(
        "longllama_timeout_s",
        "seconds to wait for a response of the server",
        default=str(TIMEOUT_S),
    )


class Workspace:
    """Temporary workspace folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        """Write a file, create its parent folders, and return its path."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file


@pytest.fixture
def longllama_workspace(tmp_path: Path) -> Workspace:
    """Return an empty workspace folder."""
    root = tmp_path / "workspace"
    root.mkdir()
    return Workspace(root)


@pytest.fixture
def longllama_editor(
    longllama_workspace: Workspace, request: pytest.FixtureRequest
) -> "Iterator[StartEditor]":
    """Return a function that starts an editor on the workspace; all are closed after the test."""
    from lsp_server.testing.client import SETTINGS, Editor, script_settings

    timeout_s = float(request.config.getini("longllama_timeout_s"))
    with ExitStack() as stack:

        def start(
            name: str = "vscode",
            *,
            settings: dict[str, Any] | None = None,
            answers: Sequence[dict[str, Any]] | None = None,
        ) -> "Editor":
            merged = {**SETTINGS, **(settings or {})}
            if answers is not None:
                merged |= script_settings(longllama_workspace.root.parent, answers)
            editor = Editor(name, longllama_workspace.root, merged, timeout_s)
            stack.callback(editor.close)
            return editor.start()

        yield start
