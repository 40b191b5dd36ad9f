"""A team's engine under 50 editors, with a replica killed, and as it scales; bulk encoding.

Everything on this machine, Ray's processes and the editors too. Each part prints its numbers when
it ends, requests that failed among them.

``workers``: some files encoded in bulk by one worker and by two, both of which had the model
already; and whether the stores are the one that a single machine makes, byte for byte.

``editors``: each asks at a cursor that moves, after a pause; it withdraws one request in ten; its
own file changes now and then. A replica is killed at a third of the time, and at two thirds. Every
request must be answered once.

``killed``: a few clients ask without a pause of two replicas, one of which is killed as it answers.

``scaling``: a replica alone has more to do than it should, until Serve starts a second; then
nothing, until one is gone.

Usage: PYTHONPATH=. python tests/bench/cluster.py [--parts workers editors killed scaling]
           [--model tiny] [--files 60] [--minutes 5] [--editors 50] [--pause 2] [--clients 4 12]
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lsp_server.engine.team.client import TeamClient
from tests.bench.cluster_team import (
    LIMIT_S,
    SOURCES,
    Again,
    Counts,
    Cursor,
    Team,
    answering_logs,
    ask,
    asking,
    cpu_s,
    deployed,
    n_running,
    percentiles,
    seconds_until,
    sources,
)
from tests.cluster.processes import replica_pids
from tests.cluster.stores import content, one_machine

HELD_S = 0.5
"""Time that a worker stays busy, so that the next call goes to another one."""
WITHDRAWN = 0.1
CHANGES = 0.05
UPSCALE_DELAY_S, DOWNSCALE_DELAY_S = 5.0, 10.0


def held_facts(place: Any) -> tuple[int, Any]:
    """Return the properties of the model on a worker, and the worker's process id."""
    from longllama_code.cluster.encoding import facts_of

    facts = facts_of(place)
    time.sleep(HELD_S)
    return os.getpid(), facts


def ready(pool: Any, place: Any, n_workers: int) -> Any:
    """Have so many workers load the model; the facts of it."""
    while True:
        calls = [pool.call(held_facts, place) for _ in range(n_workers)]
        found = dict(pool.result(call) for call in calls)
        if len(found) == n_workers:
            return next(iter(found.values()))


def bulk_pace(ray: Any, place: Any, n_workers: int, files: dict[str, str], cache: Path) -> float:
    """Return tokens a second of so many workers."""
    from longllama_code.cluster.bulk import BulkEncoder
    from longllama_code.cluster.index import open_store
    from longllama_code.cluster.ray_workers import RayWorkers

    pool = RayWorkers(ray, ray.cluster_resources()["CPU"] / n_workers)
    facts = ready(pool, place, n_workers)
    store = open_store(cache, facts)
    began = time.monotonic()
    bulk = BulkEncoder(pool, place, facts, store)
    bulk.run("team/app", "r1", files.items())
    took_s = time.monotonic() - began
    store.close()
    return bulk.progress.n_tokens / took_s


def workers(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return one worker and two, twice each, beside a single machine."""
    from longllama_code.cluster.encoding import ModelPlace
    from longllama_code.cluster.ray_workers import connect

    ray, place, files = connect(), ModelPlace(options.model), sources(options.files)
    began = time.monotonic()
    n_tokens = one_machine(options.model, folder / "one", files)
    took_s, wanted = time.monotonic() - began, content(folder / "one")
    paces: dict[int, list[int]] = {1: [], 2: []}
    is_equal: list[bool] = []
    for n_workers in (1, 2, 1, 2):
        cache = folder / "many"
        paces[n_workers].append(round(bulk_pace(ray, place, n_workers, files, cache)))
        is_equal.append(content(cache) == wanted)
        shutil.rmtree(cache)
    return {
        "files, tokens, segments, bytes": [len(files), n_tokens, len(wanted[1]), len(wanted[0])],
        "a single machine, its start included, s": round(took_s, 1),
        **{f"{n} workers, tokens/s": found for n, found in paces.items()},
        "speed-up": round(max(paces[2]) / max(paces[1]), 2),
        "equal to a single machine's, byte for byte": is_equal,
    }


def editors(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return a team at work."""
    with deployed(options, folder, options.editors, min_replicas=2, max_replicas=2) as team:
        return asyncio.run(_editors(options, team))


async def _editors(options: argparse.Namespace, team: Team) -> dict[str, Any]:
    counts = Counts()
    clients = await team.windows(counts)
    until = time.monotonic() + 60 * options.minutes
    typing = [
        _edit(client, Cursor(team.files, n), until, counts, options.pause)
        for n, client in enumerate(clients)
    ]
    with Again.counted() as again:
        killing = asyncio.ensure_future(_kill_now_and_then(60 * options.minutes / 3))
        await asyncio.gather(killing, *typing)
    said = await counts.said()
    await asyncio.gather(*(client.leave() for client in clients))
    return {
        "editors, minutes, pause": [options.editors, options.minutes, options.pause],
        "tokens in memory": team.n_tokens,
        **said,
        "asked again": again.n_times,
        **percentiles([ms for _, ms in counts.took_ms]),
        "the slowest around each kill, ms": [counts.slowest_around(at) for at in killing.result()],
    }


async def _edit(
    client: TeamClient, cursor: Cursor, until: float, counts: Counts, pause_s: float
) -> None:
    """One editor."""
    dice = cursor.dice
    while True:
        await asyncio.sleep(min(dice.expovariate(1 / pause_s), until - time.monotonic()))
        if time.monotonic() >= until:
            return
        request = cursor.moved()
        if dice.random() < CHANGES:
            sending = client.remember(cursor.path, cursor.changed())
            counts.changing.append(asyncio.ensure_future(sending))
        await ask(client, request, counts, is_withdrawn=dice.random() < WITHDRAWN)


async def _kill_now_and_then(pause_s: float) -> list[float]:
    """Kill a replica twice; when."""
    killed_at: list[float] = []
    for _ in range(2):
        await asyncio.sleep(pause_s)
        with suppress(IndexError, ProcessLookupError):  # there is none just now
            os.kill(random.choice(sorted(replica_pids())), signal.SIGKILL)
            killed_at.append(time.monotonic())
    return killed_at


def killed(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return a replica that is killed while it answers."""
    with deployed(options, folder, options.clients[0], min_replicas=2, max_replicas=2) as team:
        return asyncio.run(_killed(options, team))


async def _killed(options: argparse.Namespace, team: Team) -> dict[str, Any]:
    counts = Counts()
    with Again.counted() as again:
        async with asking(team, counts) as is_read:
            began, before = time.monotonic(), replica_pids()
            used_s = {pid: cpu_s(pid) for pid in before}
            await asyncio.sleep(options.calm)
            is_read.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(is_read.wait(), LIMIT_S)
            os.kill(max(before, key=lambda pid: cpu_s(pid) - used_s[pid]), signal.SIGKILL)
            killed_at = time.monotonic()
            replaced_s = await seconds_until(
                lambda: bool(replica_pids() - before) and n_running() == len(before)
            )
            replaced_at = time.monotonic()
            await asyncio.sleep(options.calm)
    return {
        "clients": options.clients[0],
        "tokens in memory": team.n_tokens,
        **await counts.said(),
        "asked again": again.n_times,
        "before": percentiles(counts.of(began, killed_at)),
        "the slowest around the kill, ms": counts.slowest_around(killed_at),
        "replaced after, s": replaced_s,
        "from then on": percentiles(counts.of(replaced_at, time.monotonic())),
    }


def scaling(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """From one replica to two under load, and back."""
    how = {"upscale_delay": UPSCALE_DELAY_S, "downscale_delay": DOWNSCALE_DELAY_S}
    with deployed(options, folder, options.clients[1], max_replicas=2, **how) as team:
        return asyncio.run(_scaling(options, team))


async def _scaling(options: argparse.Namespace, team: Team) -> dict[str, Any]:
    counts, before = Counts(), answering_logs()
    async with asking(team, counts):
        began = time.monotonic()
        runs_s = await seconds_until(lambda: n_running() == 2)
        runs_at = time.monotonic()
        answers_s = await seconds_until(lambda: len(answering_logs() - before) == 2)
        answers_at = time.monotonic()
        await asyncio.sleep(options.calm)
    gone_s = await seconds_until(lambda: n_running() == 1 and len(replica_pids()) == 1)
    return {
        "clients, delays up and down in s": [
            options.clients[1],
            UPSCALE_DELAY_S,
            DOWNSCALE_DELAY_S,
        ],
        "tokens in memory": team.n_tokens,
        **await counts.said(),
        "a second replica runs after, s": runs_s,
        "and answers after, s more": answers_s,
        "one replica": percentiles(counts.of(began, runs_at)),
        "two replicas": percentiles(counts.of(answers_at, time.monotonic())),
        "one is gone after idle, s": gone_s,
    }


PARTS = {"workers": workers, "editors": editors, "killed": killed, "scaling": scaling}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="of the part editors")
    parser.add_argument("--editors", type=int, default=50)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two requests")
    parser.add_argument(
        "--calm", type=float, default=10.0, help="seconds before a replica is killed"
    )
    parser.add_argument("--clients", type=int, nargs=2, default=[4, 12], help="of killed, scaling")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    os.environ |= {"PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}
    from longllama_code.cluster.ray_workers import connect

    ray = connect(n_cpus=2, niceness=0)
    print(json.dumps({"model": options.model, "load": os.getloadavg()}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts:
            found = PARTS[part](options, Path(name))
            print(json.dumps({part: found}, indent=2), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
