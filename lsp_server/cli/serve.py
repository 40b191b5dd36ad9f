"""``longllama-lsp serve``: serve one client, and HTTP beside it or alone."""

import argparse
import os
from pathlib import Path

from longllama_code.console import port_number, read_text
from lsp_server.cli.options import Command, add_model_options, folder, settings_from

MIN_TOKEN_CHARS = 16
HOST = "127.0.0.1"


def configure_command(parser: Command) -> None:
    """Add all options of ``serve``."""
    configure(parser)
    parser.add_argument(
        "--root", type=folder, help="workspace folder of --http alone (the current folder)"
    )


def configure(parser: Command) -> None:
    """Add the options of ``serve`` that may stand before it, or without it."""
    _add_connection_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def _add_connection_options(parser: Command) -> None:
    """Add the options that say how the client connects."""
    transport = parser.add_mutually_exclusive_group()
    transport.add_argument("--stdio", action="store_true", help="stdin and stdout (the default)")
    transport.add_argument(
        "--tcp", type=port_number, metavar="PORT", help="serve on a TCP port (0: any)"
    )
    transport.add_argument(
        "--ws", type=port_number, metavar="PORT", help="serve on a websocket port (0: any)"
    )
    parser.add_argument(
        "--http",
        type=port_number,
        metavar="PORT",
        help="serve HTTP on a port (0: any), as llama.cpp and OpenAI do: beside the transport that"
        " is named, with the same memory; alone if none is",
    )
    parser.add_argument(
        "--host",
        help=f"address to serve on ({HOST}); clients on other machines need a token",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="token that clients must send as initializationOptions.token, over HTTP as a bearer's"
        " (or $LONGLLAMA_TOKEN; if one is needed and none is given, it is made up and printed)",
    )


def run(options: argparse.Namespace) -> int:
    """Serve one client, and return the exit code."""
    from lsp_server.transports import serve, serve_http

    settings, token = settings_from(options), _token(options.token_file)
    host = options.host or HOST
    port: int | None = options.http
    has_client = options.stdio or options.tcp is not None or options.ws is not None
    root: Path | None = getattr(options, "root", None)
    if port is not None and not has_client:
        return serve_http(root or Path.cwd(), host, port, settings, token)
    if root is not None:
        raise ValueError("--root is for --http alone; a language client names its own folders.")
    http = () if port is None else (port,)
    if options.tcp is not None:
        return serve("tcp", host, options.tcp, settings, token, *http)
    if options.ws is not None:
        return serve("ws", host, options.ws, settings, token, *http)
    return serve("stdio", host, 0, settings, token, *http)


def connection_options(options: argparse.Namespace) -> list[str]:
    """Return the names of the given options that only ``serve`` has."""
    names = ("--tcp", "--ws", "--http", "--host", "--token-file")
    values = vars(options)
    return [name for name in names if values.get(name[2:].replace("-", "_")) is not None]


def _token(path: Path | None) -> str | None:
    """Return the token that clients must send, from a file or ``$LONGLLAMA_TOKEN``.

    Raises:
        ValueError: the token is too short.
    """
    token = read_text(path).strip() if path else os.environ.get("LONGLLAMA_TOKEN")
    if token is not None and len(token) < MIN_TOKEN_CHARS:
        raise ValueError(f"the token has {len(token)} characters; give {MIN_TOKEN_CHARS} or more.")
    return token
