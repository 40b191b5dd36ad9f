"""``longllama cluster``: serve a team's engine on Ray Serve; encode in bulk with Ray's tasks."""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.console import port_number
from longllama_code.model_sources.default_model import USUAL
from longllama_code.team_protocol import digest_of

if TYPE_CHECKING:
    from longllama_code.cluster.bulk import Progress

PRINT_EVERY_S = 1.0


def add(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("cluster", help="serve a team's engine, or encode in bulk, on Ray")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_serve(actions)
    _add_index(actions)
    _add_token(actions)
    dashboard = actions.add_parser("dashboard", help="print the dashboard for Grafana")
    dashboard.set_defaults(run=_dashboard)


def _add_serve(actions: Any) -> None:
    serve = actions.add_parser("serve", help="deploy a team's engine, or update it")
    _add_place(serve)
    serve.add_argument("--compile", action="store_true", help="compile the model's layers")
    serve.add_argument("--store", required=True, metavar="URL", help="the shared store")
    serve.add_argument("--name", default="longllama", help="name of the application (%(default)s)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=port_number, default=8000)
    serve.add_argument(
        "--tokens", type=Path, metavar="FILE", help="users, with hashes of their tokens"
    )
    serve.add_argument("--tls-certificate", type=Path, metavar="FILE")
    serve.add_argument("--tls-key", type=Path, metavar="FILE")
    serve.add_argument("--min-replicas", type=int, default=1)
    serve.add_argument("--max-replicas", type=int, default=1)
    serve.add_argument(
        "--target-requests", type=float, default=2, help="target load of a replica (%(default)s)"
    )
    serve.add_argument("--upscale-delay", type=float, default=10, metavar="SECONDS")
    serve.add_argument("--downscale-delay", type=float, default=300, metavar="SECONDS")
    serve.add_argument(
        "--max-ongoing", type=int, default=3, help="maximum requests of a replica (%(default)s)"
    )
    serve.add_argument(
        "--max-queued", type=int, default=256, help="maximum requests that wait (%(default)s)"
    )
    serve.add_argument(
        "--max-repositories", type=int, default=4, help="repositories of a replica (%(default)s)"
    )
    serve.add_argument("--max-store-bytes", type=int, help="size of a machine's cache of segments")
    serve.add_argument(
        "--max-context-bytes",
        type=int,
        default=1 << 30,
        help="size of a replica's cache of text around cursors (%(default)s)",
    )
    serve.set_defaults(run=_serve)


def _add_index(actions: Any) -> None:
    index = actions.add_parser("index", help="encode a repository into the shared store")
    index.add_argument("source", metavar="PATH|GIT_URL")
    index.add_argument("--revision", help="branch, tag or commit (the one checked out)")
    index.add_argument("--repository", help="name of the repository (that of its folder)")
    index.add_argument("--store", metavar="URL", help="the shared store")
    _add_place(index)
    index.set_defaults(run=_index)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=USUAL, help="name or folder (%(default)s)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--cache-dir", type=Path, help="folder of this machine's store")
    parser.add_argument("--address", help="address of a Ray cluster (starts one here)")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs of a worker (%(default)s)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a worker (%(default)s)")


def _add_token(actions: Any) -> None:
    token = actions.add_parser("token", help="create a token for a user")
    token.add_argument("user")
    token.add_argument("--repository", action="append", required=True, metavar="NAME|PATTERN")
    token.add_argument("--tokens", type=Path, required=True, metavar="FILE")
    token.set_defaults(run=_token)


def _serve(options: argparse.Namespace) -> int:
    from longllama_code.cluster.app import ServeOptions, serve_forever

    fields = {name: value for name, value in vars(options).items() if name != "run"}
    serve_forever(ServeOptions(**fields))
    return 0


def _index(options: argparse.Namespace) -> int:
    from longllama_code.cluster.index import IndexOptions, index
    from longllama_code.cluster.revisions import checked_out

    with checked_out(options.source, options.revision) as checkout:
        revision = checkout.revision or _revision_of(checkout.folder)
        fields = {
            name: value
            for name, value in vars(options).items()
            if name not in ("run", "source", "revision", "repository")
        }
        snapshot = index(
            options.repository or checkout.name,
            revision,
            source_files(checkout.folder),
            IndexOptions(**fields),
            ProgressPrinter(),
        )
    print(f"{snapshot.repository} at {snapshot.revision}: {len(snapshot.files)} files")
    return 0


def _token(options: argparse.Namespace) -> int:
    from longllama_code.cluster.rights import add_user

    print(add_user(options.tokens, options.user, options.repository))
    print("The token is shown only once; the file holds its hash.", file=sys.stderr)
    return 0


def _dashboard(_: argparse.Namespace) -> int:
    sys.stdout.write((Path(__file__).parents[1] / "cluster/dashboard.json").read_text("utf-8"))
    return 0


def source_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of the files that an editor's server takes into memory."""
    from longllama_code.source_files.model_text import model_text
    from longllama_code.source_files.source_text import SourceError, read_source, refuse_secrets
    from longllama_code.source_files.workspace import Workspace

    workspace = Workspace([folder])
    for entry in workspace.scan():
        if entry.exclusion is not None:
            continue
        try:
            text = read_source(entry.path)
            refuse_secrets(entry.path, text)
        except SourceError as reason:
            print(f"{entry.relative}: left out, {reason}", file=sys.stderr)
        else:
            yield workspace.name_of(entry.path), model_text(text)


def _revision_of(folder: Path) -> str:
    """Return a revision for the content of a folder without git."""
    listed = "\n".join(f"{path} {digest_of(text)}" for path, text in source_files(folder))
    return f"folder-{digest_of(listed)}"


class ProgressPrinter:
    """Prints progress to stderr, at most every ``PRINT_EVERY_S`` seconds."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, progress: "Progress", **_: Any) -> None:
        """Print the progress, unless the last line is too recent."""
        now = time.monotonic()
        if now - self._last < PRINT_EVERY_S:
            return
        self._last = now
        pace = progress.n_tokens / (now - self._began)
        print(
            f"{progress.n_files} files, {progress.n_tokens:,} tokens, {pace:,.0f} tokens/s; "
            f"segments: {progress.n_encoded} encoded, {progress.n_loaded} loaded",
            file=sys.stderr,
            flush=True,
        )
