"""One Ray, and one team's engine, for all tests of the cluster; on the loopback interface."""

import asyncio
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress
from tests.paths import ROOT

REPOSITORY_ROOT = ROOT
N_CPUS = 4
N_REPLICAS = 2


def repository_files(n_files: int, seed: int = 0) -> dict[str, str]:
    """Made-up sources, each of a few segments of tiny."""
    return {
        f"pkg{n % 3}/module_{n:03}.py": "".join(
            f"def step_{seed}_{n}_{k}(value):\n" + f"    value += {n * 31 + k}\n" * 14 + "\n\n"
            for k in range(2 + n % 3)
        )
        for n in range(n_files)
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Cluster:
    """Ray, started for the tests."""

    ray: Any
    metrics_port: int


@dataclass(frozen=True)
class Team:
    """A team's engine that serves two repositories to two users."""

    url: str
    options: Any
    tokens: dict[str, str]
    cluster: Cluster

    def address(self, user: str) -> TeamAddress:
        return TeamAddress(self.url, self.tokens[user])


APP, LIB = repository_files(12, seed=5), repository_files(8, seed=6)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Ray, which finds this package where the tests find it."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install '.[cluster]'")
    from longllama_code.cluster.ray_workers import connect

    paths = [str(REPOSITORY_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["OMP_NUM_THREADS"] = "1"
    port = free_port()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that Ray uses
        ray = connect(n_cpus=N_CPUS, niceness=0, _metrics_export_port=port)
        from ray import serve  # noqa: F401
    yield Cluster(ray, port)
    ray.shutdown()


@pytest.fixture(scope="session")
def team(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    from ray import serve

    from longllama_code.cluster.app import ServeOptions, deploy
    from longllama_code.cluster.rights import add_user

    folder = tmp_path_factory.mktemp("team")
    shared = str(folder / "shared")
    publish(shared, folder / "cache", "team/app", APP)
    publish(shared, folder / "cache", "other/lib", LIB)
    rights = folder / "tokens.json"
    tokens = {
        "ada": add_user(rights, "ada", ["team/*"]),
        "eve": add_user(rights, "eve", ["team/app"]),
        "bob": add_user(rights, "bob", ["other/lib"]),
    }
    options = ServeOptions(
        shared,
        "tiny",
        cache_dir=folder / "replicas",
        port=free_port(),
        tokens=rights,
        min_replicas=N_REPLICAS,
        max_replicas=N_REPLICAS,
        cpus=0.5,
    )
    deploy(options)
    yield Team(options.url, options, tokens, cluster)
    serve.shutdown()


class Here:
    """Workers that are this process."""

    n_at_once = 1

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def result(self, call: Any) -> Any:
        return call


def publish(shared: str, cache: Path, name: str, files: dict[str, str]) -> None:
    """Put a repository into a shared store, without Ray."""
    from longllama_code.cluster.bulk import BulkEncoder
    from longllama_code.cluster.encoding import ModelPlace, facts_of
    from longllama_code.cluster.index import open_store
    from longllama_code.cluster.shared_store import SharedStore

    place = ModelPlace("tiny")
    facts = facts_of(place)
    store = open_store(cache, facts)
    everybody = SharedStore(shared, facts.fingerprint)
    BulkEncoder(Here(), place, facts, store, everybody).run(name, "r1", files.items())
    store.close()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def joined(team: Team, user: str, folder: Path, repository: str = "team/app") -> TeamClient:
    """A window of a user at the cluster."""
    client = TeamClient(team.address(user), folder, repository)
    try:
        await client.join()
    except BaseException:
        await client.leave()
        raise
    return client


async def until(what: Any, timeout_s: float = 120.0) -> None:
    """Wait until something holds."""
    end = asyncio.get_running_loop().time() + timeout_s
    while not what():
        assert asyncio.get_running_loop().time() < end, "it did not come to be"
        await asyncio.sleep(0.05)
