"""The fixtures that pytest finds by the entry point ``pytest11``.

Every pytest session of the environment imports this module, so it imports nothing of ours until a
fixture is asked for.
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
    """Add our one option."""
    parser.addini(
        "longllama_timeout_s", "seconds that a server may take to answer", default=str(TIMEOUT_S)
    )


class Workspace:
    """A temporary workspace folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        """Write a file, and the folders above it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file


@pytest.fixture
def longllama_workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    root = tmp_path / "workspace"
    root.mkdir()
    return Workspace(root)


@pytest.fixture
def longllama_editor(
    longllama_workspace: Workspace, request: pytest.FixtureRequest
) -> "Iterator[StartEditor]":
    """Starts editors on the workspace, each with a server; they are closed after the test."""
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
