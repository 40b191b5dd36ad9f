"""Options that several benchmarks have in common."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from longllama_code.model_sources.default_model import AUTO
from lsp_server.benchmarks.reporting.machine import gguf_of, machine, weights_digest
from lsp_server.benchmarks.systems.conditions import (
    ABOUT,
    FILE,
    LLAMA_CPP,
    NAMES,
    REPOSITORY,
    SystemOptions,
)

Json = dict[str, Any]
ALL = "all"

SETTINGS: Json = {
    "completion": {"timeoutMs": 600_000},
    "engine": {"shared": True, "idleMs": 0},
    "indexing": {"pauseOnBattery": False},
    "model": {"hangTimeoutMs": 600_000},
}
"""Settings of every run: a slow machine has time to finish. Servers share an engine one after
another; their cache folder keeps it apart from any other."""


def add_common_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the options that all benchmarks have.

    Args:
        parser: parser of the benchmark's command.
        name: name of the benchmark, and of the file of its results.
    """
    about = "; ".join(f"{each}: {what}" for each, what in ABOUT.items())
    parser.add_argument(
        "--conditions",
        "--arms",
        type=_conditions,
        default=(FILE, REPOSITORY),
        help=f"names with commas between them, or {ALL}. {about} (default: {FILE},{REPOSITORY})",
    )
    parser.add_argument(
        "--model", help="name of a model, or its file or folder (default: the server's)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(f"{name}.json"),
        metavar="FILE",
        help="file of the summary; beside it are its tables (.md), a picture (.svg) and every "
        "result (.jsonl), which is not asked for again by the same command (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FOLDER",
        help="folder in which the server stores what it encoded (default: a temporary one)",
    )
    parser.add_argument(
        "--settings",
        type=_object,
        default={},
        metavar="JSON",
        help='settings of the server, such as \'{"model": {"threads": 2}}\'',
    )
    parser.add_argument(
        "--llama-server",
        default="llama-server",
        metavar="PROGRAM",
        help="llama.cpp's server, for the condition llama.cpp (default: %(default)s)",
    )
    parser.add_argument(
        "--gguf",
        type=Path,
        metavar="FILE",
        help="weights for llama.cpp (default: those of the model, if they are a GGUF file)",
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="threads of llama.cpp (default: one a core)",
    )


@dataclass(frozen=True)
class Setup:
    """Settings of a run, and their description for its results."""

    settings: Json
    about: Json


def setup(options: argparse.Namespace, defaults: Json) -> Setup:
    """Return what the options say of model and settings.

    Args:
        options: the command line.
        defaults: settings of the benchmark, besides those that all have.

    Raises:
        ValueError: something that the run needs is not on this machine.
    """
    settings = merged(merged(SETTINGS, defaults), options.settings)
    if options.model:
        settings = merged(settings, {"model": {"path": options.model}})
    model = str(settings.get("model", {}).get("path", AUTO))
    _check_installed(options, model)
    digest = weights_digest(model)
    return Setup(settings, {"model": model, "weights_sha256": digest, "settings": settings})


def system_options(options: argparse.Namespace, setup: Setup, settings: Json) -> SystemOptions:
    """Return how the compared systems are started.

    Args:
        options: the command line.
        setup: model and settings, as the results describe them.
        settings: those settings, with the folders of this run.
    """
    gguf = options.gguf or gguf_of(setup.about["model"])
    return SystemOptions(settings, options.llama_server, gguf, options.threads)


def described(setup: Setup, name: str) -> Json:
    """Return the description of a run for its summary."""
    return {"benchmark": name, **setup.about, "machine": machine()}


def merged(defaults: Mapping[str, Any], settings: Mapping[str, Any]) -> Json:
    """Return defaults overridden by settings, group by group."""
    found = dict(defaults)
    for key, value in settings.items():
        before = found.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[key] = merged(cast("Json", before), cast("Json", value)) if both else value
    return found


def positive(text: str) -> int:
    """Return the number of an option, which must be at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def _check_installed(options: argparse.Namespace, model: str) -> None:
    """Raise an error at once, instead of after hours, if something is missing."""
    if find_spec("matplotlib") is None:
        raise ValueError("the picture needs matplotlib: pip install 'longllama-code-lsp[bench]'.")
    if LLAMA_CPP not in options.conditions:
        return
    # Imported here, since an HTTP client would delay the other conditions.
    from lsp_server.benchmarks.systems.llama_server import existing_program

    gguf = options.gguf or gguf_of(model)
    if gguf is None:
        raise ValueError(
            f"llama.cpp needs the weights of {model!r} as a GGUF file, which is not here. Give "
            f"--gguf FILE, or --conditions without {LLAMA_CPP}."
        )
    existing_program(options.llama_server, gguf)


def _conditions(text: str) -> tuple[str, ...]:
    names = NAMES if text == ALL else tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in NAMES]:
        known = ", ".join((*NAMES, ALL))
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no condition; known: {known}")
    return names


def _object(text: str) -> Json:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object")
    return cast("Json", value)
