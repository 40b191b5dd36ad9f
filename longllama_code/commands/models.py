"""``longllama models``: list the catalog, and models of other programs on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from longllama_code.model_sources.catalog import ALIASES, CATALOG, ModelSpec, WheelSource, folder_of
from longllama_code.model_sources.gguf_source import GgufSource
from longllama_code.model_sources.local_models import LocalModel, local_models

MB = 10**6


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    models = commands.add_parser(
        "models", help="list the models of the catalog, and of other programs on this machine"
    )
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.json:
        local = [{**asdict(model), "path": str(model.path)} for model in local_models()]
        print(json.dumps({"models": list(map(_entry, CATALOG.values())), "local": local}, indent=2))
        return 0
    for spec in CATALOG.values():
        print(_line(spec))
    _list_local(local_models())
    return 0


def _entry(spec: ModelSpec) -> dict[str, object]:
    folder = folder_of(spec)
    return {
        "name": spec.name,
        "aliases": _aliases(spec),
        "summary": spec.summary,
        "licence": spec.licence,
        "folder": None if folder is None else str(folder),
        "fetch_bytes": _fetch_bytes(spec),
    }


def _line(spec: ModelSpec) -> str:
    """Return a line about a model; its summary gives the size of the download."""
    state = "here" if spec.source is None or folder_of(spec) is not None else ""
    also = "".join(f", also {name}" for name in _aliases(spec))
    licence = f" ({spec.licence})" if spec.licence else ""
    return f"{spec.name:17} {state:4}  {spec.summary}{licence}{also}"


def _list_local(models: Iterable[LocalModel]) -> None:
    for number, model in enumerate(models):
        if number == 0:
            print("\nof other programs, used where they lie; model.path takes name or path:")
        state = f"not read: {model.refusal}" if model.refusal else "can be used"
        size, kind = f"{model.n_bytes / MB:.0f} MB", model.architecture or "?"
        print(f"{model.name}  {size}, {kind}, {state}\n    {_short(model.path)}", flush=True)


def _short(path: Path) -> str:
    """Return a path with ``~`` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home).as_posix()}" if home in path.parents else str(path)


def _aliases(spec: ModelSpec) -> list[str]:
    return [name for name, meant in ALIASES.items() if meant == spec.name]


def _fetch_bytes(spec: ModelSpec) -> int | None:
    source = spec.source
    return source.n_bytes if isinstance(source, GgufSource | WheelSource) else None
