"""A team's engine under 50 editors, with a replica killed, and as it scales; bulk encoding.

Everything on this machine, Ray's processes and the editors too. Each part prints its numbers when it
ends, requests that failed among them; ``cluster_team.py`` says what the parts of the team do.

``workers`` encodes some files in bulk by one worker and by two, both of which had the model already,
and says whether the stores are the one that a single machine makes, byte for byte.

Usage: PYTHONPATH=. python tests/bench/cluster.py [--parts workers editors killed scaling]
           [--model tiny] [--files 60] [--minutes 5] [--editors 50] [--pause 2] [--clients 4 12]
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.cluster_team import SOURCES, editors, killed, scaling, sources
from tests.cluster.stores import content, one_machine

HELD_S = 0.5
"""How long a worker is kept, so that the next call goes to another."""


def held_facts(place: Any) -> tuple[int, Any]:
    """What there is to know of a model, on a worker, and which one it is."""
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
    """Tokens a second of so many workers."""
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
    """One worker and two, twice each, beside a single machine."""
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

    ray = connect(n_cpus=2)
    print(json.dumps({"model": options.model, "load": os.getloadavg()}), flush=True)
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts:
            found = PARTS[part](options, Path(name))
            print(json.dumps({part: found}, indent=2), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
