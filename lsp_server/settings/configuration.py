"""Current settings of one client.

Later layers override earlier ones: the repository's ``pyproject.toml``, ``initializationOptions``,
``workspace/configuration``, the command line, and what the user toggled by a command. A toggle
holds until the other layers set another value than before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tomli

from longllama_code.source_files.regular_files import read_regular
from lsp_server.settings.declarations import SECTION, Settings
from lsp_server.settings.layers import Problem, resolve

FILE_NAME = "pyproject.toml"
MAX_FILE_BYTES = 1 << 20

Layer = Literal["options", "configuration"]


@dataclass(frozen=True)
class RepositorySettings:
    """Settings from a repository's own ``pyproject.toml``."""

    values: Mapping[str, Any]
    problem: str | None = None
    """Why the file could not be read, if so."""


def repository_settings(roots: Sequence[Path]) -> RepositorySettings:
    """Read ``[tool.longllama]`` of the first workspace folder whose ``pyproject.toml`` has it.

    The settings hold for all folders; a problem names the folders whose own do not count. A file
    larger than 1 MiB, or a link out of the folder, is not read.
    """
    used: Path | None = None
    values: Mapping[str, Any] = {}
    problems: list[str] = []
    for root in roots:
        path = root / FILE_NAME
        section, problem = _section(path)
        if problem is not None:
            problems.append(problem)
        elif section is not None and used is None:
            used, values = path, section
        elif section is not None and section != values:
            problems.append(
                f"[tool.{SECTION}] of {path} is not used, as that of {used} holds for all folders; "
                "put the settings there, or into your editor's."
            )
    return RepositorySettings(values, " ".join(problems) or None)


def _section(path: Path) -> tuple[Any, str | None]:
    """Return a file's ``[tool.longllama]``, None without one; and why the file is not read."""
    try:
        if not path.is_file():
            return None, None
        if path.resolve().parent != path.parent.resolve():
            return None, f"{path} links to a file outside its folder and is not read."
        data = read_regular(path, MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return None, f"{path} is larger than 1 MiB and is not read."
        document = tomli.loads(data.decode("utf-8-sig").replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        return None, f"{path} is not read: {error}"
    tool = document.get("tool")
    return (tool.get(SECTION) if isinstance(tool, dict) else None), None


class Configuration:
    """Layers of settings, and the result of merging them."""

    def __init__(self, command_line: Mapping[str, Any] | None = None) -> None:
        self.settings = self._below = Settings()
        """The current settings."""
        self.problems: list[Problem] = []
        """Settings that are ignored, of all layers."""
        self._repository: Mapping[str, Any] = {}
        self._layers: dict[Layer, Any] = {"options": None, "configuration": None}
        self._command_line = command_line
        self._toggles: dict[str, bool] = {}
        self._is_toggled: bool | None = None
        self._resolve()

    def set_layer(self, layer: Layer, values: Any) -> None:
        """Set a layer that the client sent."""
        self._layers[layer] = values
        self._resolve()

    def set_repository(self, values: Mapping[str, Any]) -> None:
        """Set the repository's layer."""
        self._repository = values
        self._resolve()

    def toggle(self) -> None:
        """Turn the server off, or on again."""
        self._is_toggled = not self.settings.enable
        self._apply_toggles()

    def toggle_language(self, language: str) -> None:
        """Turn suggestions off in a language, or on again; ``*`` stands for all others."""
        wanted = not self.settings.language_enabled(language)
        self._toggles.pop(language, None)
        self._apply_toggles()
        if self.settings.language_enabled(language) != wanted:
            self._toggles[language] = wanted
            self._apply_toggles()

    def _resolve(self) -> None:
        before = self._below
        layers = [*self._layers.values(), self._command_line]
        self._below, self.problems = resolve(layers, self._repository)
        if self._below.enable != before.enable:
            self._is_toggled = None
        if self._below.enable_languages != before.enable_languages:
            self._toggles.clear()
        self._apply_toggles()

    def _apply_toggles(self) -> None:
        languages = {**self._below.enable_languages, **self._toggles}
        enable = self._below.enable if self._is_toggled is None else self._is_toggled
        self.settings = replace(self._below, enable=enable, enable_languages=languages)
