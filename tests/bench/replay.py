"""Typing sessions, replayed against the real server over stdio.

A session is a commit's change of a file, typed: the file as it was before is opened, and the lines
that the commit added or changed are typed character by character, an automatic request after each:
ten a second within a word, four at its end, and 0.8 s for thought at a line's. The typist waits for
no answer; one that comes before the next key, and is what will be typed next, is accepted. The
repository is in memory as it was before the commits.

Printed: how many keys had a suggestion before the next, and after what time; how many answers were
known without asking the engine; characters that the user need not type, in all and for each second
of the engine's CPU time; the engine's load once nothing is typed. ``beside_llama_cpp.py`` asks
llama.cpp for the like.

Usage: python tests/bench/replay.py [--model mini] [--sessions 12] [--keys 60] [--plot FILE.svg]
"""

import argparse
import asyncio
import difflib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from lsprotocol import types

from lsp_server.clients.headless import HeadlessClient, headless

CHECKOUT = Path(__file__).parents[2]
WORD_S, WORD_END_S, LINE_END_S = 0.1, 0.25, 0.8
"""From a key to the next."""
LEAST_KEYS = 40
PACKAGES = ("longllama_code/", "lsp_server/")


@dataclass(frozen=True)
class Session:
    """Text to be typed into a file at one place."""

    path: str
    before: str
    typed: str
    after: str


@dataclass
class Key:
    """Result of one key."""

    ms: float
    """From the key to the answer."""
    shown: str
    known: bool
    """Answered without asking the engine anew."""
    overtaken: bool = False
    """The next key came first."""
    accepted: int = 0
    """Characters that the user need not type."""


def git(*arguments: str) -> str:
    """Return git's output in the checkout."""
    return subprocess.run(
        ["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout


def sessions(n: int, n_keys: int) -> tuple[str, list[Session]]:
    """Changes of the last commits, newest first; and the commit before all of them."""
    found: list[Session] = []
    commit = "HEAD"
    for commit in git("rev-list", "--no-merges", "HEAD").split():
        for path in git("diff", "--name-only", "--diff-filter=M", f"{commit}~", commit).split():
            if path.startswith(PACKAGES) and path.endswith(".py"):
                old, new = git("show", f"{commit}~:{path}"), git("show", f"{commit}:{path}")
                found += longest(changes(path, old, new, n_keys))
        if len(found) >= n:
            break
    return f"{commit}~", found[:n]


def longest(candidates: Iterator[Session]) -> list[Session]:
    """Return the longest change of a file; short ones are not worth a session."""
    found = max(candidates, key=lambda session: len(session.typed), default=None)
    return [found] if found is not None and len(found.typed) >= LEAST_KEYS else []


def changes(path: str, old: str, new: str, n_keys: int) -> Iterator[Session]:
    """Return where lines were added or replaced in the file."""
    a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for tag, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag in ("insert", "replace"):
            before, after = "".join(a[:a0]), "".join(a[a1:])
            yield Session(path, before, "".join(b[b0:b1])[:n_keys], "\n" + after)


class Typist:
    """Types one session in a document."""

    def __init__(self, client: HeadlessClient, root: Path, session: Session) -> None:
        self._client, self._session = client, session
        self._path = root / session.path
        self._text, self._version = session.before, 1
        self._uri = ""
        self.keys: list[Key] = []

    async def type(self) -> None:
        """All of it, accepting what is right."""
        typed = self._session.typed
        self._uri = self._client.open(self._path, self._text + self._session.after)
        done = 0
        while done < len(typed):
            started = time.perf_counter()
            n = 1
            if typed[done] == "\n":  # the editor indents by itself
                n += len(typed[done + 1 :]) - len(typed[done + 1 :].lstrip(" "))
            self._insert(typed[done : done + n])
            done += n
            gap = _gap(typed[done - n], typed[done : done + 1])
            key = await self._ask(started, gap)
            self.keys.append(key)
            if len(key.shown) > 1 and typed[done:].startswith(key.shown):
                key.accepted = len(key.shown) - 1
                self._insert(key.shown)
                done += len(key.shown)
            await asyncio.sleep(max(0.0, started + gap - time.perf_counter()))
        uri = types.TextDocumentIdentifier(self._uri)
        self._client.text_document_did_close(types.DidCloseTextDocumentParams(uri))

    def _insert(self, text: str) -> None:
        at = self._cursor()
        self._text += text
        self._version += 1
        change = types.TextDocumentContentChangePartial(types.Range(at, at), text)
        document = types.VersionedTextDocumentIdentifier(self._version, self._uri)
        self._client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def _cursor(self) -> types.Position:
        line = self._text.count("\n")
        return types.Position(line, len(self._text) - (self._text.rfind("\n") + 1))

    async def _ask(self, started: float, gap: float) -> Key:
        """The answer, if it comes before the next key; the server ends the request otherwise."""
        params = types.InlineCompletionParams(
            types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            types.TextDocumentIdentifier(self._uri),
            self._cursor(),
        )
        request = asyncio.ensure_future(self._client.text_document_inline_completion_async(params))
        await asyncio.wait([request], timeout=gap)
        ms = 1000 * (time.perf_counter() - started)
        if not request.done():
            return Key(ms, "", False, overtaken=True)
        answer = request.result()
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        shown = str(items[0].insert_text) if items else ""
        explained = await self._client.explain() or {}
        return Key(ms, shown, bool(explained.get("known")))


def _gap(key: str, following: str) -> float:
    """Seconds from a key to the next."""
    if following in ("\n", "") or key == "\n":
        return LINE_END_S
    return WORD_S if key.isalnum() and following.isalnum() else WORD_END_S


async def replay(options: argparse.Namespace, folder: Path) -> tuple[list[Key], dict[str, float]]:
    """Return all sessions against one server with the repository in memory."""
    base, todo = sessions(options.sessions, options.keys)
    root = folder / "repository"
    root.mkdir()
    archive = subprocess.run(
        ["git", "archive", base, *PACKAGES], cwd=CHECKOUT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(root)], input=archive.stdout, check=True)
    settings = {
        "model": {"path": options.model, "threads": options.threads},
        "memory": {"cacheDir": str(options.cache or folder / "cache"), "include": ["*.py"]},
        "completion": {"maxTokens": options.tokens},
        "engine": {"shared": False},
    }
    keys: list[Key] = []
    async with headless(root, settings) as client:
        status = await client.wait_until_indexed()
        print(f"{len(todo)} sessions, {status['files']['tokens']:,} tokens in memory", flush=True)
        engine = psutil.Process((await client.status())["engine_pid"])
        began, cpu = time.perf_counter(), cpu_seconds(engine)
        for session in todo:
            typist = Typist(client, root, session)
            await typist.type()
            keys += typist.keys
        numbers = {"seconds": time.perf_counter() - began, "engine_s": cpu_seconds(engine) - cpu}
        await asyncio.sleep(0.5)
        cpu = cpu_seconds(engine)
        await asyncio.sleep(2)
        numbers["idle_share"] = (cpu_seconds(engine) - cpu) / 2
    return keys, numbers


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time so far."""
    times = process.cpu_times()
    return times.user + times.system


def quantile(times: list[float], share: float) -> float:
    """Return the time within which so many came."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(keys: list[Key], numbers: dict[str, float]) -> dict[str, float]:
    """Return the results to print and store."""
    asked = [key.ms for key in keys if key.shown and not key.known]
    shown = [key for key in keys if key.shown]
    every = [key.ms for key in shown]
    accepted = sum(key.accepted for key in keys)
    return {
        "keys": len(keys),
        "shown_share": len(shown) / len(keys),
        "overtaken_share": sum(key.overtaken for key in keys) / len(keys),
        "known": sum(key.known for key in shown) / max(1, len(shown)),
        **{f"p{q}_ms": quantile(every, q / 100) for q in (50, 95, 99) if every},
        **{f"asked_p{q}_ms": quantile(asked, q / 100) for q in (50, 95, 99) if asked},
        "accepted_characters": accepted,
        "saved_share": accepted / max(1, accepted + len(keys)),
        "saved_per_engine_second": accepted / max(1e-9, numbers["engine_s"]),
        **numbers,
    }


def plot(keys: list[Key], path: Path) -> None:
    """Return how many answers came within a time."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    for label, times in {
        "all suggestions": [key.ms for key in keys if key.shown],
        "asked of the model": [key.ms for key in keys if key.shown and not key.known],
    }.items():
        shares = [(number + 1) / len(times) for number in range(len(times))]
        axes.step(sorted(times), shares, label=label)
    axes.set(xlabel="ms from a key to its suggestion", ylabel="share", xscale="log", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Replay and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--sessions", type=int, default=12)
    parser.add_argument("--keys", type=int, default=60, help="most characters of a session")
    parser.add_argument("--tokens", type=int, default=8, help="most tokens of a suggestion")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="folder of encoded segments, kept")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys, numbers = asyncio.run(replay(options, Path(folder)))
    result = report(keys, numbers)
    for name, value in result.items():
        print(f"{name:24} {value:.3f}")
    if options.plot:
        plot(keys, options.plot)
    print(json.dumps({"replay": result, "model": options.model, "max_tokens": options.tokens}))


if __name__ == "__main__":
    main()
