"""A team's engine deployed on this machine, and windows that ask it, for ``cluster.py``."""

import argparse
import asyncio
import logging
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from longllama_code.protocol import CompletionRequest
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress, TeamRefused, TeamUnreachable

SOURCES = Path(__file__).parents[2]
PORT = 18_765
LIMIT_S = 180.0
"""Timeout of conditions that are waited for."""
TYPED_CHARS = 200
"""Characters typed at one position before the next one."""
LAST_CHANGES_S = 30.0
"""Timeout of changes that are pending at the end."""


def sources(n_files: int) -> dict[str, str]:
    """Return files of this repository."""
    paths = sorted(path for path in SOURCES.glob("l*/**/*.py") if path.stat().st_size > 1000)
    return {
        path.relative_to(SOURCES).as_posix(): path.read_text("utf-8") for path in paths[:n_files]
    }


# The team.


@dataclass(frozen=True)
class Team:
    """A team's engine that serves files of this repository."""

    url: str
    folder: Path
    files: dict[str, str]
    n_tokens: int
    tokens: list[str]
    """One for each user."""

    async def windows(self, counts: "Counts") -> list[TeamClient]:
        """Return a window of each user; those that nothing lets in are counted."""
        clients = [
            TeamClient(TeamAddress(self.url, token), self.folder, "team/app")
            for token in self.tokens
        ]
        are_in = await asyncio.gather(*(_join(client) for client in clients))
        counts.outside = are_in.count(False)
        return [client for client, is_in in zip(clients, are_in, strict=True) if is_in]


async def _join(client: TeamClient) -> bool:
    """Join as a window does, which asks until it is let in."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        try:
            await client.join()
        except (TeamUnreachable, TeamRefused) as error:
            print(f"not let in: {error}", flush=True)
            await asyncio.sleep(1.0)
        else:
            return True
    await client.leave()
    return False


@contextmanager
def deployed(
    options: argparse.Namespace, folder: Path, n_users: int, **more: Any
) -> Iterator[Team]:
    """A team's engine for so many users."""
    from ray import serve  # pyright: ignore[reportMissingImports]

    from longllama_code.cluster.app import ServeOptions, deploy
    from longllama_code.cluster.index import IndexOptions, index
    from longllama_code.cluster.rights import add_user

    files, shared, rights = sources(options.files), str(folder / "shared"), folder / "tokens.json"
    how = IndexOptions(options.model, store=shared, cache_dir=folder / "cache")
    snapshot = index("team/app", "r1", files.items(), how)
    tokens = [add_user(rights, f"user{n}", ["team/*"]) for n in range(n_users)]
    place = {"cache_dir": folder / "replicas", "port": PORT, "tokens": rights, "cpus": 0.5}
    serving = ServeOptions(shared, options.model, **place, **more)
    deploy(serving)
    n_tokens = sum(file.n_tokens for file in snapshot.files)
    try:
        yield Team(serving.url, folder, files, n_tokens, tokens)
    finally:
        serve.shutdown()


def n_running() -> int:
    """Replicas that Serve sends requests to."""
    from ray import serve  # pyright: ignore[reportMissingImports]

    deployments = [
        deployment
        for application in serve.status().applications.values()
        for deployment in application.deployments.values()
    ]
    return sum(deployment.replica_states.get("RUNNING", 0) for deployment in deployments)


def answering_logs() -> set[Path]:
    """Return the logs of replicas that completed something."""
    import ray  # pyright: ignore[reportMissingImports]

    logs = Path(ray.nodes()[0]["RayletSocketName"]).parents[1] / "logs/serve"
    return {path for path in logs.glob("replica_*") if "outcome" in path.read_text("utf-8")}


async def seconds_until(what: Callable[[], bool]) -> float | None:
    """Return the seconds until a condition holds; None if it never does."""
    began = time.monotonic()
    while time.monotonic() < began + LIMIT_S:
        if await asyncio.to_thread(what):
            return round(time.monotonic() - began, 1)
        await asyncio.sleep(0.1)
    return None


# Requests.


@dataclass
class Counts:
    """Outcomes of the requests."""

    asked: int = 0
    answered: int = 0
    withdrawn: int = 0
    late: int = 0
    """Answers without a text, as their time was over; they count as answered."""
    outside: int = 0
    """Windows that could not join, and asked nothing."""
    failed: Counter[str] = field(default_factory=Counter[str])
    """Requests without an answer, by what was said of them."""
    changing: "list[asyncio.Future[Any]]" = field(default_factory=list["asyncio.Future[Any]"])
    took_ms: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Time at which each request was asked, in seconds, and the time to its answer."""

    def note(self, done: "asyncio.Future[Any]", began: float) -> None:
        """Record the outcome of a request."""
        if done.cancelled():
            self.withdrawn += 1
        elif error := done.exception():
            self.failed[str(error) or type(error).__name__] += 1
        else:
            self.answered += 1
            self.late += done.result().empty_reason == "deadline"
            self.took_ms.append((began, 1000 * (time.monotonic() - began)))

    def of(self, since: float, until: float) -> list[float]:
        """Return the latencies, in milliseconds, of requests sent in a period."""
        return [ms for at, ms in self.took_ms if since <= at < until]

    def slowest_around(self, when: float) -> int | None:
        """Return the slowest request pending at a moment or sent within 30 seconds after it."""
        found = [ms for at, ms in self.took_ms if at + ms / 1000 >= when and at < when + 30]
        return round(max(found)) if found else None

    async def said(self) -> dict[str, Any]:
        """Return the numbers, once changes under way were sent."""
        if self.changing:
            _, late = await asyncio.wait(self.changing, timeout=LAST_CHANGES_S)
            for sending in late:
                sending.cancel()
        unsent = [one for one in self.changing if not one.done() or one.exception() is not None]
        n_failed = sum(self.failed.values())
        return {
            "windows that were not let in": self.outside,
            "asked": self.asked,
            "answered": self.answered,
            "withdrawn": self.withdrawn,
            "failed": dict(self.failed),
            "neither": self.asked - self.answered - self.withdrawn - n_failed,
            "late": self.late,
            "changes, unsent": [len(self.changing), len(unsent)],
        }


class Again(logging.Handler):
    """Counts retries in the client's log."""

    def __init__(self) -> None:
        super().__init__()
        self.n_times = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record of a retry."""
        self.n_times += "is sent again" in record.getMessage()

    @classmethod
    @contextmanager
    def counted(cls) -> "Iterator[Again]":
        """Count retries while the context is open."""
        log, again = logging.getLogger("lsp_server.engine.team.client"), cls()
        log.setLevel(logging.INFO)
        log.addHandler(again)
        try:
            yield again
        finally:
            log.removeHandler(again)


class Cursor:
    """Somebody who types what stands in a file: the cursor moves on, the text behind it stays."""

    def __init__(self, files: dict[str, str], seed: int) -> None:
        self.dice = random.Random(seed)
        self.path = self.dice.choice(sorted(files))
        self.text = files[self.path]
        self._go_elsewhere()

    def moved(self) -> CompletionRequest:
        """Return the request a few characters further on."""
        self._at += self.dice.randrange(1, 12)
        if self._at >= self._end:
            self._go_elsewhere()
        return CompletionRequest(self.path, self.text[: self._at], self.text[self._end :], 24)

    def changed(self) -> str:
        """Return the text as it is now."""
        return self.text[: self._at] + self.text[self._end :]

    def _go_elsewhere(self) -> None:
        last = max(1, len(self.text) - TYPED_CHARS)
        self._at = self.dice.randrange(min(200, last - 1), last)
        self._end = self._at + TYPED_CHARS


async def ask(
    client: TeamClient,
    request: CompletionRequest,
    counts: Counts,
    *,
    is_withdrawn: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Ask once; or withdraw the question before its answer comes."""
    counts.asked += 1
    began = time.monotonic()
    work = asyncio.ensure_future(client.complete(request, tell))
    if is_withdrawn:
        await asyncio.sleep(0.005)
        work.cancel()
    await asyncio.wait([work])
    counts.note(work, began)


def percentiles(took_ms: list[float]) -> dict[str, int]:
    """Return percentiles of times in milliseconds, if there are any."""
    if len(took_ms) < 2:
        return {"p50 ms": round(took_ms[0])} if took_ms else {}
    cuts = statistics.quantiles(took_ms, n=100)
    return {"p50 ms": round(cuts[49]), "p95 ms": round(cuts[94]), "worst ms": round(max(took_ms))}


@asynccontextmanager
async def asking(team: Team, counts: Counts) -> AsyncIterator[asyncio.Event]:
    """Have all windows ask one request after the other; set when a part of an answer is read."""
    clients = await team.windows(counts)
    is_over, is_read = asyncio.Event(), asyncio.Event()

    async def ask_on(client: TeamClient, cursor: Cursor) -> None:
        while not is_over.is_set():
            await ask(client, cursor.moved(), counts, tell=lambda _: is_read.set())

    tasks = [
        asyncio.ensure_future(ask_on(client, Cursor(team.files, n)))
        for n, client in enumerate(clients)
    ]
    try:
        yield is_read
    finally:
        is_over.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(*(client.leave() for client in clients))


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process; 0 if it ended."""
    try:
        return psutil.Process(pid).cpu_times().user
    except psutil.Error:
        return 0.0
