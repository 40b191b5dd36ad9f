"""A team's engine under 50 editors, with replicas killed; bulk encoding by one worker and by two.

Everything on this machine, Ray's processes and the editors too. An editor asks at a cursor that
moves, after a pause (two seconds on average); it withdraws one request in ten; its own file
changes now and then. Every request must be answered once, as an engine without a cluster would.

Usage: python tests/bench/cluster.py [--minutes 5] [--editors 50] [--model tiny]
                                     [--parts editors workers] [--files 60]
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from longllama_code.protocol import CompletionRequest
from lsp_server.team_client import TeamClient
from lsp_server.team_http import TeamAddress

SOURCES = Path(__file__).parents[2]
WITHDRAWN = 0.1
CHANGES = 0.05
PORT = 18_765


@dataclass
class Counts:
    """What became of the requests."""

    asked: int = 0
    answered: int = 0
    withdrawn: int = 0
    failed: int = 0
    late: int = 0
    """Answers without a text, as their time was over; they count as answered."""
    changed: int = 0
    unsent: int = 0
    """Changes that the cluster did not take in."""
    took_ms: list[tuple[float, float]] = field(default_factory=list)
    """When a request was asked, in seconds, and how long its answer took."""

    def note_sent(self, sending: "asyncio.Future[Any]") -> None:
        """A change was sent, or not."""
        self.unsent += sending.cancelled() or sending.exception() is not None


def sources(n_files: int) -> dict[str, str]:
    """Files of this repository."""
    paths = sorted(path for path in SOURCES.glob("l*/**/*.py") if path.stat().st_size > 1000)
    return {
        path.relative_to(SOURCES).as_posix(): path.read_text("utf-8") for path in paths[:n_files]
    }


async def edit(
    client: TeamClient,
    files: dict[str, str],
    until: float,
    counts: Counts,
    pause_s: float,
    seed: int,
) -> None:
    """One editor: a cursor that moves along a file, and asks."""
    dice = random.Random(seed)
    path = dice.choice(sorted(files))
    text = files[path]
    at = dice.randrange(min(200, len(text)), len(text))
    while time.monotonic() < until:
        await asyncio.sleep(dice.expovariate(1 / pause_s))
        at = min(len(text), at + dice.randrange(1, 12))
        if at == len(text):
            at = dice.randrange(min(200, len(text)), len(text))
        if dice.random() < CHANGES:
            counts.changed += 1
            changed = f"{text[:at]}# {dice.random()}\n{text[at:]}"
            sending = asyncio.ensure_future(client.remember(path, changed))
            sending.add_done_callback(counts.note_sent)
        await ask(client, CompletionRequest(path, text[:at], text[at:], 24), counts, dice)


async def ask(
    client: TeamClient, request: CompletionRequest, counts: Counts, dice: random.Random
) -> None:
    """Ask once; or withdraw the question before its answer comes."""
    counts.asked += 1
    began = time.monotonic()
    work = asyncio.ensure_future(client.complete(request))
    if dice.random() < WITHDRAWN:
        await asyncio.sleep(0.005)
        work.cancel()
    try:
        result = await work
        counts.answered += 1
        counts.late += result.empty_reason == "deadline"
        counts.took_ms.append((began, 1000 * (time.monotonic() - began)))
    except asyncio.CancelledError:
        counts.withdrawn += 1
    except Exception as error:
        counts.failed += 1
        print(f"failed: {error}", flush=True)


def replica_pids() -> list[int]:
    """The processes that hold the model."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "TeamEngine" in " ".join(child.cmdline())]


async def kill_replicas(minutes: float) -> list[float]:
    """Kill a replica at a third of the time, and at two thirds; when."""
    killed = []
    for _ in range(2):
        await asyncio.sleep(60 * minutes / 3)
        os.kill(random.choice(replica_pids()), signal.SIGKILL)
        killed.append(time.monotonic())
    return killed


async def editors(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A team at work."""
    from longllama_code.cluster.app import ServeOptions, deploy
    from longllama_code.cluster.index import IndexOptions, index
    from longllama_code.cluster.rights import add_user

    files, shared = sources(options.files), str(folder / "shared")
    how = IndexOptions(options.model, store=shared, cache_dir=folder / "cache")
    snapshot = index("team/app", "r1", files.items(), how)
    tokens = folder / "tokens.json"
    names = [f"user{n}" for n in range(options.editors)]
    secrets = [add_user(tokens, name, ["team/*"]) for name in names]
    serve = ServeOptions(
        shared,
        options.model,
        cache_dir=folder / "replicas",
        port=PORT,
        tokens=tokens,
        min_replicas=2,
        max_replicas=2,
        cpus=0.5,
    )
    deploy(serve)
    clients = [TeamClient(TeamAddress(serve.url, token), folder, "team/app") for token in secrets]
    await asyncio.gather(*(client.join() for client in clients))
    counts = Counts()
    until = time.monotonic() + 60 * options.minutes
    work = [
        edit(client, files, until, counts, options.pause, n) for n, client in enumerate(clients)
    ]
    killed, *_ = await asyncio.gather(kill_replicas(options.minutes), *work)
    await asyncio.gather(*(client.leave() for client in clients))
    return {
        "editors": options.editors,
        "minutes": options.minutes,
        "pause, s": options.pause,
        "tokens in memory": sum(file.n_tokens for file in snapshot.files),
        "asked": counts.asked,
        "answered": counts.answered,
        "withdrawn": counts.withdrawn,
        "failed": counts.failed,
        "late": counts.late,
        "changes, unsent": [counts.changed, counts.unsent],
        **percentiles([ms for _, ms in counts.took_ms]),
        "the slowest within 30 s after a kill, ms": [
            round(max((ms for at, ms in counts.took_ms if when - 5 < at < when + 30), default=0))
            for when in killed
        ],
    }


def percentiles(took_ms: list[float]) -> dict[str, float]:
    """Of times in milliseconds."""
    cuts = statistics.quantiles(took_ms, n=100)
    return {"p50 ms": round(cuts[49]), "p95 ms": round(cuts[94]), "worst ms": round(max(took_ms))}


def workers(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Tokens a second by one worker and by two, both of which had the model already."""
    from longllama_code.cluster.bulk import BulkEncoder
    from longllama_code.cluster.encoding import ModelPlace, facts_of
    from longllama_code.cluster.index import open_store
    from longllama_code.cluster.ray_workers import RayWorkers, connect

    ray, place, found = connect(), ModelPlace(options.model), {}
    files = sources(options.files)
    for n_workers in (1, 2, 1, 2):
        pool = RayWorkers(ray, ray.cluster_resources()["CPU"] / n_workers)
        for fact in [pool.call(facts_of, place) for _ in range(n_workers)]:
            facts = pool.result(fact)
        cache = folder / f"workers-{time.monotonic()}"
        store = open_store(cache, facts)
        began = time.monotonic()
        bulk = BulkEncoder(pool, place, facts, store)
        bulk.run("team/app", "r1", files.items())
        pace = bulk.progress.n_tokens / (time.monotonic() - began)
        found.setdefault(f"{n_workers} workers, tokens/s", []).append(round(pace))
        store.close()
        shutil.rmtree(cache)
    one, two = (max(found[f"{n} workers, tokens/s"]) for n in (1, 2))
    return {"tokens": bulk.progress.n_tokens, **found, "speed-up": round(two / one, 2)}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--editors", type=int, default=50)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two requests")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--parts", nargs="+", default=["editors", "workers"])
    options = parser.parse_args()
    os.environ |= {"PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    from longllama_code.cluster.ray_workers import connect

    ray = connect(n_cpus=2)
    found: dict[str, Any] = {"model": options.model}
    with tempfile.TemporaryDirectory() as name:
        if "workers" in options.parts:
            found["bulk encoding"] = workers(options, Path(name))
        if "editors" in options.parts:
            found["team"] = asyncio.run(editors(options, Path(name)))
    ray.shutdown()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
