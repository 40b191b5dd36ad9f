"""``longllama``: pull a model, complete without a server, find memory heads, train, evaluate."""

import argparse
import sys
from pathlib import Path

from longllama_code import __version__
from longllama_code.catalog import CATALOG, ModelSpec, pull
from longllama_code.commands import (
    cluster,
    convert,
    copying,
    evaluate,
    passkey,
    probe,
    published,
    sizes,
    table,
    train,
)
from longllama_code.errors import LongLlamaError
from longllama_code.protocol import CompletionRequest

LITTLE_BYTES = 1 << 30
"""Weights that are loaded in passing."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except LongLlamaError as error:
        print(f"longllama: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="longllama", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    fetch = commands.add_parser("pull", help="fetch a model and convert it, once")
    fetch.add_argument(
        "model", nargs="?", default="mini", help="its name, or owner/name of the hub (%(default)s)"
    )
    fetch.add_argument(
        "--from", type=Path, dest="folder", metavar="FOLDER", help="take its files from there"
    )
    fetch.add_argument("--accept-licence", action="store_true", help="accept the model's licence")
    fetch.set_defaults(run=_pull)
    models = commands.add_parser("models", help="list the models that have a name")
    models.set_defaults(run=_models)
    complete = commands.add_parser("complete", help="complete a text from stdin")
    complete.add_argument("--model", default="mini", help="name or folder (%(default)s)")
    complete.add_argument("--remember", type=Path, nargs="*", default=[], metavar="FILE")
    complete.add_argument("--path", default="stdin.py", help="the text's file name (%(default)s)")
    complete.add_argument("--max-tokens", type=int, default=48)
    complete.set_defaults(run=_complete)
    for command in (
        convert,
        probe,
        copying,
        table,
        train,
        evaluate,
        passkey,
        sizes,
        published,
        cluster,
    ):
        command.add(commands)
    return parser


def _pull(options: argparse.Namespace) -> int:
    def consents(spec: ModelSpec) -> bool:
        print(f"{spec.name}: {spec.licence}", flush=True)
        if options.accept_licence or not sys.stdin.isatty():
            return options.accept_licence
        return input("Do you accept this licence? [y/N] ").strip().lower() in ("y", "yes")

    def say(step: str, share: float) -> None:
        print(f"{100 * share:3.0f} % {step}", flush=True)

    folder = pull(options.model, say, consents, options.folder)
    if sum(path.stat().st_size for path in folder.glob("*.safetensors")) < LITTLE_BYTES:
        from longllama_code.generation.engine import Engine

        print("a first completion, for which this machine compiles what it needs", flush=True)
        Engine.open(options.model, persist=False).close()
    print(f"{options.model} is in {folder}")
    return 0


def _models(_: argparse.Namespace) -> int:
    for spec in CATALOG.values():
        licence = f" ({spec.licence})" if spec.licence else ""
        print(f"{spec.name:17} {spec.summary}{licence}")
    return 0


def _complete(options: argparse.Namespace) -> int:
    from longllama_code.generation.engine import Engine

    engine = Engine.open(options.model)
    for path in options.remember:
        for _ in engine.remember(path.as_posix(), path.read_text("utf-8")):
            pass
    request = CompletionRequest(options.path, sys.stdin.read(), "", max_tokens=options.max_tokens)
    print(engine.complete(request, lambda: False).text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
