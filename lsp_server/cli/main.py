"""``longllama-lsp``: serve (the default), complete, demo, status, diagnose, and others."""

import argparse
import asyncio
import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from longllama_code.paths import cache_root
from lsp_server import __version__
from lsp_server.benchmarks.cross_code_eval import add_options as add_cross_code_eval
from lsp_server.cli.cache_folder import as_lines as as_table
from lsp_server.cli.cache_folder import clear, entries
from lsp_server.cli.demo import run_demo
from lsp_server.cli.terminal import Terminal
from lsp_server.clients.headless import HeadlessClient, headless
from lsp_server.diagnosis import Check, as_lines, diagnose, worst
from lsp_server.documents.document import Position
from lsp_server.engine.stdio import python_command
from lsp_server.settings.configuration import Configuration, repository_settings

Json = dict[str, Any]

LEAST_TOKEN_CHARS = 16


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # it logs source code, also as errors
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)  # a race in watchdog
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return 130
    except (RuntimeError, OSError, ValueError) as error:
        print(f"longllama-lsp: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="longllama-lsp", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    _add_serve_options(parser)
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve one client (the default)")
    _add_serve_options(serve)
    complete = commands.add_parser("complete", help="print the suggestion at a cursor")
    complete.add_argument("cursor", metavar="FILE:LINE:COL", help="both count from 1")
    complete.add_argument("--json", action="store_true", help="print one JSON object")
    complete.set_defaults(run=_complete)
    explain = commands.add_parser("explain", help="print what the suggestion at a cursor is from")
    explain.add_argument("cursor", metavar="FILE:LINE:COL", help="both count from 1")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    explain.set_defaults(run=_explain)
    demo = commands.add_parser("demo", help="complete from this repository's memory")
    demo.set_defaults(run=_demo)
    status = commands.add_parser("status", help="index a folder and print what is in memory")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    status.set_defaults(run=_status)
    diagnose = commands.add_parser("diagnose", help="look for what keeps the server from working")
    diagnose.add_argument("--json", action="store_true", help="print one JSON object")
    diagnose.set_defaults(run=_diagnose)
    cache = commands.add_parser("cache", help="list what the cache folder holds, or remove of it")
    cache.add_argument(
        "--clear", nargs="+", metavar="NAME", help="remove these, by their name or their model's"
    )
    cache.add_argument("--json", action="store_true", help="print one JSON object")
    cache.add_argument("--cache-dir", type=Path, help="another folder than the user's own")
    cache.set_defaults(run=_cache)
    record = commands.add_parser("record", help="serve one client and write down what is said")
    record.add_argument("file", type=Path, metavar="FILE")
    record.set_defaults(run=_record)
    replay = commands.add_parser("replay", help="say it again to a server, and compare its answers")
    replay.add_argument("file", type=Path, metavar="FILE")
    replay.set_defaults(run=_replay)
    _add_benchmarks(commands.add_parser("bench", help="ask the server what a benchmark asks"))
    for command in (complete, explain, demo, status, diagnose, replay):
        command.add_argument("--root", type=_folder, default=Path.cwd(), help="workspace folder")
        _add_model_options(command)
    _add_model_options(serve)
    _add_model_options(record)
    return parser


def _add_benchmarks(parser: argparse.ArgumentParser) -> None:
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="NAME", required=True)
    about = "first lines that need another file, with the repository in memory and without"
    add_cross_code_eval(benchmarks.add_parser("crosscodeeval", help=about))


def _folder(name: str) -> Path:
    """A folder named on the command line; argparse turns the error into a usage message."""
    path = Path(name)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{name!r} is no folder")
    return path


def _add_serve_options(parser: argparse.ArgumentParser) -> None:
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="stdin and stdout (the default)")
    transport.add_argument("--tcp", type=int, metavar="PORT", help="serve on a TCP port (0: any)")
    transport.add_argument(
        "--ws", type=int, metavar="PORT", help="serve on a websocket port (0: any)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to serve on (%(default)s); beyond this machine clients need a token",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="token that clients must send as initializationOptions.token"
        " (or $LONGLLAMA_TOKEN; without either, one is made up where one is needed)",
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="name of a model, or folder of a checkpoint")
    parser.add_argument("--cache-dir", help="folder of encoded segments")


def _settings(options: argparse.Namespace) -> Json:
    """The settings that the command line names."""
    settings: Json = {}
    if getattr(options, "model", None):
        settings["model"] = {"path": options.model}
    if getattr(options, "cache_dir", None):
        settings["memory"] = {"cacheDir": options.cache_dir}
    return settings


def _serve(options: argparse.Namespace) -> int:
    from lsp_server.transports import serve

    settings, token = _settings(options), _token(options.token_file)
    if options.tcp is not None:
        return serve("tcp", options.host, options.tcp, settings, token)
    if options.ws is not None:
        return serve("ws", options.host, options.ws, settings, token)
    return serve("stdio", options.host, 0, settings, token)


def _cache(options: argparse.Namespace) -> int:
    root = options.cache_dir or cache_root()
    listed = clear(root, options.clear) if options.clear else entries(root)
    if options.json:
        print(json.dumps([asdict(entry) for entry in listed]))
    else:
        print("removed of" if options.clear else "in", "\n".join(as_table(root, listed)))
    return 0


def _record(options: argparse.Namespace) -> int:
    from lsp_server.clients.record import record

    serve = [*python_command("lsp_server.__main__"), "serve", *_model_arguments(options)]
    return record(options.file, serve)


def _replay(options: argparse.Namespace) -> int:
    from lsp_server.clients.replay import replay

    differences = replay(options.file, options.root, _model_arguments(options))
    for difference in differences:
        print(difference)
    return 1 if differences else 0


def _model_arguments(options: argparse.Namespace) -> list[str]:
    """The options of `_add_model_options` as they were given."""
    given = {"--model": options.model, "--cache-dir": options.cache_dir}
    return [part for name, value in given.items() if value for part in (name, value)]


def _token(path: Path | None) -> str | None:
    """The token that clients must have, from a file or ``$LONGLLAMA_TOKEN``.

    Raises:
        ValueError: it is too short to be one.
    """
    token = path.read_text("utf-8").strip() if path else os.environ.get("LONGLLAMA_TOKEN")
    if token is not None and len(token) < LEAST_TOKEN_CHARS:
        raise ValueError(
            f"the token has {len(token)} characters; give {LEAST_TOKEN_CHARS} or more."
        )
    return token


def _complete(options: argparse.Namespace) -> int:
    path, position = parse_cursor(options.cursor)
    return asyncio.run(_complete_at(path, position, options))


def _explain(options: argparse.Namespace) -> int:
    path, position = parse_cursor(options.cursor)
    terminal = Terminal(sys.stderr if options.json else sys.stdout)
    suggestion, explained = asyncio.run(_suggestion_at(path, position, options, terminal))
    if options.json:
        print(json.dumps({"text": suggestion, **explained}))
        return 0
    if suggestion:
        lines = path.read_text("utf-8").split("\n")
        offset = sum(len(line) + 1 for line in lines[: position.line]) + position.character
        terminal.ghost(path, "\n".join(lines), offset, suggestion)
    else:
        terminal.say(f"no suggestion: {explained.get('reason')}")
    terminal.how(explained)
    return 0


async def _suggestion_at(
    path: Path, position: Position, options: argparse.Namespace, terminal: Terminal
) -> tuple[str, Json]:
    """The suggestion at a cursor, empty if there is none, and where it came from."""
    settings = {**_settings(options), "completion": {"candidates": 1}}
    async with headless(options.root, settings, terminal.progress) as client:
        await client.wait_until_indexed()
        terminal.end_progress()
        suggestion = await client.complete(client.open(path), position)
        return suggestion, await client.explain() or {}


async def _complete_at(path: Path, position: Position, options: argparse.Namespace) -> int:
    terminal = Terminal(sys.stderr if options.json else sys.stdout)
    suggestion, explained = await _suggestion_at(path, position, options, terminal)
    if options.json:
        print(json.dumps({"text": suggestion, **explained}))
    elif suggestion:
        print(suggestion)
    else:
        terminal.say(f"no suggestion: {explained.get('reason')}")
    return 0 if suggestion else 2


def parse_cursor(cursor: str) -> tuple[Path, Position]:
    """A file and a position from ``FILE:LINE:COL``, which count from 1.

    Raises:
        ValueError: the text has another form.
    """
    name, _, rest = cursor.rpartition(":")
    name, _, line = name.rpartition(":")
    if not (name and line.isdecimal() and rest.isdecimal() and int(line) and int(rest)):
        raise ValueError(f"{cursor!r} is no cursor; write FILE:LINE:COL, counting from 1.")
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"{name!r} is no file.")
    return path, Position(int(line) - 1, int(rest) - 1)


def _demo(options: argparse.Namespace) -> int:
    return asyncio.run(run_demo(options.root, _settings(options)))


def _status(options: argparse.Namespace) -> int:
    return asyncio.run(_index_and_report(options))


async def _index_and_report(options: argparse.Namespace) -> int:
    terminal = Terminal(sys.stderr)
    async with headless(options.root, _settings(options), terminal.progress) as client:
        await client.wait_until_indexed()
        terminal.end_progress()
        await _report(client, as_json=options.json)
    return 0


async def _report(client: HeadlessClient, *, as_json: bool) -> None:
    status = await client.status()
    if as_json:
        print(json.dumps(status))
        return
    files, engine = status["files"], status["engine"]
    print(f"{status['phase']}: {status['message']}")
    print(f"model     {engine['model']} ({engine['dtype']} on {engine['device']})")
    print(
        f"memory    {files['in_memory']} files, {files['tokens']:,} tokens, "
        f"{engine['memory_bytes'] / 1e6:.1f} MB"
    )
    print(f"left out  {files['left_out']} files")
    print(f"segments  {files['segments_encoded']} encoded, {files['segments_loaded']} from disk")
    for user in engine["users"]:
        if not user["is_asking"]:
            print(f"shared    with {user['name']}: {user['n_files']} files in memory")
    print(f"on disk   {engine['stored_segments']} segments, {engine['stored_bytes'] / 1e6:.1f} MB")


def _diagnose(options: argparse.Namespace) -> int:
    configuration = Configuration(_settings(options))
    root = options.root.absolute()
    found = repository_settings([root])
    configuration.set_repository(found.values)
    n_folders = sum(1 for _ in os.walk(root))
    checks = diagnose(configuration.settings, [root], n_folders)
    for problem in [found.problem, *configuration.problems]:
        if problem is not None:
            checks.append(Check("settings", "warning", str(problem), "correct it."))
    if options.json:
        print(json.dumps([asdict(check) for check in checks]))
    else:
        print("\n".join(as_lines(checks)))
    return 1 if worst(checks) == "error" else 0
