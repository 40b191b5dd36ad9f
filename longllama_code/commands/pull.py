"""``longllama pull``: fetch a model, with a progress bar.

Run as a module, it needs neither torch nor the packages of other commands: an installer fetches the
model while it installs those.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from longllama_code.console import run_command
from longllama_code.errors import LongLlamaError
from longllama_code.model_sources.catalog import ModelSpec, is_pulled, pull
from longllama_code.model_sources.default_model import AUTO, chosen_model

LITTLE_BYTES = 1 << 30
"""Size of weights that load quickly."""
BAR_CELLS = 24
LINE_SECONDS = 5.0
"""Time between two lines about one step if the output is not a terminal."""


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    fetch = commands.add_parser("pull", help="fetch a model")
    fetch.add_argument(
        "model",
        nargs="?",
        default=AUTO,
        help="name, or owner/name of the hub; auto: coder, or mini if memory is short",
    )
    fetch.add_argument(
        "--from", type=Path, dest="folder", metavar="FOLDER", help="use the files in a folder"
    )
    fetch.add_argument("--accept-licence", action="store_true", help="accept the model's licence")
    fetch.add_argument(
        "--only-fetch", action="store_true", help="do not complete once, which compiles kernels"
    )
    fetch.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    def consents(spec: ModelSpec) -> bool:
        print(f"{spec.name}: {spec.licence}", flush=True)
        if options.accept_licence or not sys.stdin.isatty():
            return options.accept_licence
        return input("Do you accept this licence? [y/N] ").strip().lower() in ("y", "yes")

    chosen = chosen_model(options.model)
    if chosen.reason:
        print(chosen.reason, flush=True)
    unread = options.folder if is_pulled(chosen.name) else None
    folder = pull(chosen.name, ProgressLine(sys.stdout), consents, options.folder)
    print(f"{chosen.name} is in {folder}", flush=True)
    if unread is not None:
        print(f"it was here already: nothing of {unread} was used", flush=True)
    if not options.only_fetch and _weights_bytes(folder) < LITTLE_BYTES:
        from longllama_code.engine_options import EngineOptions
        from longllama_code.generation.engine import Engine

        print("a first completion, for which this machine compiles what it needs", flush=True)
        Engine.open(EngineOptions(chosen.name, persist=False)).close()
    return 0


def _weights_bytes(folder: Path) -> int:
    files = (path for kind in ("*.safetensors", "*.gguf") for path in folder.glob(kind))
    return sum(path.stat().st_size for path in files)


class ProgressLine:
    """Progress display: one line that is rewritten in a terminal, a few lines elsewhere."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock, self._is_terminal = out, clock, out.isatty()
        self._step, self._said = "", float("-inf")

    def __call__(self, step: str, share: float) -> None:
        """Show a step and the share of the whole that is done; the first word names the step."""
        name, now = step.partition(" ")[0], self._clock()
        is_new, self._step = name != self._step, name
        if self._is_terminal:
            self._rewrite(step, share, is_new)
        elif is_new or now - self._said >= LINE_SECONDS:
            print(f"{100 * share:3.0f} % {step}", file=self._out, flush=True)
            self._said = now

    def _rewrite(self, step: str, share: float, is_new: bool) -> None:
        width = shutil.get_terminal_size().columns - 1
        done = round(BAR_CELLS * share)
        bar = "#" * done + "-" * (BAR_CELLS - done)
        line = f"{100 * share:3.0f} % [{bar}] {step}"
        # A message is printed once in full; a rewritten line must fit the terminal.
        self._out.write("\n" + line if is_new else "\r" + line[:width].ljust(width))
        self._out.write("\n" if share == 1.0 else "")
        self._out.flush()


def _main() -> int:
    parser = argparse.ArgumentParser(prog="longllama")
    add(parser.add_subparsers(required=True))
    options = parser.parse_args()
    return run_command("longllama", lambda: options.run(options), (LongLlamaError, OSError))


if __name__ == "__main__":
    sys.exit(_main())
