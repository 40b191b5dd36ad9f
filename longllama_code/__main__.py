"""``longllama``: pull a model, complete without a server, find memory heads, train, evaluate."""

import argparse
import os
import sys
from pathlib import Path

from longllama_code import __version__
from longllama_code.commands import (
    cluster,
    convert,
    copying,
    evaluate,
    models,
    passkey,
    probe,
    published,
    pull,
    sizes,
    table,
    train,
)
from longllama_code.errors import LongLlamaError
from longllama_code.model_sources.default_model import AUTO, chosen_model
from longllama_code.protocol import CompletionRequest


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except LongLlamaError as error:
        print(f"longllama: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
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

    engine = Engine.open(EngineOptions(chosen_model(options.model).name))
    for path in options.remember:
        for _ in engine.remember(path.as_posix(), path.read_text("utf-8")):
            pass
    request = CompletionRequest(options.path, sys.stdin.read(), "", max_tokens=options.max_tokens)
    print(engine.complete(request, lambda: False).text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
