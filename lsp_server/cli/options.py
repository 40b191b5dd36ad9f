"""Options that several commands share, and what they mean for the server's settings."""

import argparse
from pathlib import Path
from typing import Any

from longllama_code.errors import ConfigError
from longllama_code.paths import expanded

Json = dict[str, Any]
Command = argparse.ArgumentParser

ONE_SUGGESTION: Json = {"candidates": 1, "timeoutMs": 120_000}
"""Settings of commands that ask once: whoever runs one waits for it, on a slow machine too."""


def add_workspace_option(parser: Command) -> None:
    """Add ``--root``."""
    parser.add_argument("--root", type=folder, default=Path.cwd(), help="workspace folder")


def add_model_options(parser: Command) -> None:
    """Add ``--model`` and ``--cache-dir``."""
    parser.add_argument("--model", help="name of a model, or folder of a checkpoint")
    parser.add_argument("--cache-dir", help="folder of encoded segments")


def add_json_option(parser: Command) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_query_options(parser: Command) -> None:
    """Add the options of a command that prints one result: form, workspace and model."""
    add_json_option(parser)
    add_workspace_option(parser)
    add_model_options(parser)


def settings_from(options: argparse.Namespace) -> Json:
    """Return the settings that the model options stand for."""
    settings: Json = {}
    if getattr(options, "model", None):
        settings["model"] = {"path": options.model}
    if getattr(options, "cache_dir", None):
        settings["memory"] = {"cacheDir": _whole(options.cache_dir)}
    return settings


def model_arguments(options: argparse.Namespace) -> list[str]:
    """Return the model options as arguments for ``longllama-lsp serve``."""
    cache = options.cache_dir and _whole(options.cache_dir)
    values = {"--model": options.model, "--cache-dir": cache}
    return [part for name, value in values.items() if value for part in (name, value)]


def _whole(path: str) -> str:
    """Return a path that means the same in other working directories; as it is, if it is wrong."""
    try:
        return str(expanded(path))
    except ConfigError:
        return path  # the settings' own check names it, with its remedy


def folder(name: str) -> Path:
    """Return the path of a folder; argparse turns the error into a usage message."""
    path = Path(name)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{name!r} is no folder")
    return path
