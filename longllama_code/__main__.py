"""``longllama``: pull a model, complete without a server, find memory heads, train, evaluate."""

import argparse
import sys
from pathlib import Path

from longllama_code import __version__
from longllama_code.console import read_text, run_command
from longllama_code.errors import LongLlamaError
from longllama_code.protocol import CompletionRequest


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    expected = (LongLlamaError, OSError, UnicodeError)
    return run_command("longllama", lambda: _run(arguments), expected)


def _run(arguments: list[str] | None) -> int:
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    # Here, so that a package which is not installed is told as any other failure is.
    from longllama_code.commands import (
        cluster,
        convert,
        copying,
        evaluate,
        held_out,
        merge,
        models,
        passkey,
        probe,
        published,
        pull,
        shards,
        sizes,
        table,
        train,
        tune,
    )
    from longllama_code.model_sources.default_model import AUTO

    parser = argparse.ArgumentParser(prog="longllama", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    complete = commands.add_parser("complete", help="complete a text from stdin")
    complete.add_argument("--model", default=AUTO, help="name, file or folder (%(default)s)")
    complete.add_argument("--remember", type=Path, nargs="*", default=[], metavar="FILE")
    complete.add_argument("--path", default="stdin.py", help="the text's file name (%(default)s)")
    complete.add_argument("--max-tokens", type=int, default=48)
    complete.set_defaults(run=_complete)
    for command in (
        pull,
        models,
        convert,
        probe,
        copying,
        table,
        train,
        shards,
        tune,
        held_out,
        merge,
        evaluate,
        passkey,
        sizes,
        published,
        cluster,
    ):
        command.add(commands)
    return parser


def _complete(options: argparse.Namespace) -> int:
    from longllama_code.engine_options import EngineOptions
    from longllama_code.generation.engine import Engine
    from longllama_code.model_sources.default_model import chosen_model

    remembered = [(path, read_text(path)) for path in options.remember]
    engine = Engine.open(EngineOptions(chosen_model(options.model).name))
    for path, text in remembered:
        for _ in engine.remember(path.as_posix(), text):
            pass
    request = CompletionRequest(options.path, sys.stdin.read(), "", max_tokens=options.max_tokens)
    print(engine.complete(request, lambda: False).text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
