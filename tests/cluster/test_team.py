"""A team's engine on Ray Serve: what each user sees, and that no request is lost."""

import asyncio
import functools
import json
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.protocol import CompletionRequest, CompletionResult
from longllama_code.team_protocol import COMPLETE, REMEMBER, memory_id
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.http import TeamAddress, TeamHttp, TeamRefused, TeamUnreachable

from .conftest import APP, LIB, N_REPLICAS, Team, joined, kill, until
from .processes import replica_pids

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's own

REQUEST = CompletionRequest("cursor.py", "def f(value):\n    v", "", max_tokens=24)
LONG = replace(REQUEST, prefix="x = 1\n" * 600, max_tokens=200, n_candidates=40)
"""Several seconds of work."""
PATIENT_MS = 120_000
"""For a request that is answered in any case."""
MARK = "PRIVATE_MARK_8461"
EDIT = "def edited(value):\n" + f"    value = {MARK!r}\n" * 8


def expected(files: dict[str, str], request: CompletionRequest = REQUEST) -> CompletionResult:
    """The answer of an engine of one's own that has these files."""
    engine = Engine.open(EngineOptions("tiny", persist=False))
    for path, text in files.items():
        for _ in engine.remember(path, text):
            pass
    return engine.complete(request, lambda: False)


def same(one: CompletionResult, other: CompletionResult) -> bool:
    """Sums of attention differ in their last bits with the order of rows."""
    places = [
        {(s.path, s.first_line, s.last_line): round(s.mass, 3) for s in result.sources}
        for result in (one, other)
    ]
    return (one.text, one.stop_reason) == (other.text, other.stop_reason) and places[0] == places[1]


# Answers, and who may have them.


async def test_answers_are_those_of_an_engine_of_ones_own(team: Team, tmp_path: Path) -> None:
    ada = await joined(team, "ada", tmp_path)
    told: list[str] = []
    found = await ada.complete(REQUEST, told.append)
    assert same(found, expected(APP))
    assert found.sources
    assert found.timings.memory_tokens == (await ada.status()).n_tokens
    assert told
    assert all(found.text.startswith(text.rstrip()) for text in told)
    await ada.leave()


async def test_repositories_and_users_are_isolated(team: Team, tmp_path: Path) -> None:
    ada, bob = await joined(team, "ada", tmp_path), await joined(team, "bob", tmp_path, "other/lib")
    assert same(await bob.complete(REQUEST), expected(LIB))
    assert same(await ada.complete(REQUEST), expected(APP))
    for name in ("team/app", "team/none", "nowhere"):
        with pytest.raises(TeamRefused, match="may not read"):
            await joined(team, "bob", tmp_path, name)
    http = TeamHttp(team.address("bob"))  # and not by asking past its client
    plain = {"overlay": {"session": "s", "number": 1}, "request": {}, "texts": {}}
    headers = {"serve_multiplexed_model_id": memory_id("team/app", "r1")}
    for path in (COMPLETE, REMEMBER):
        with pytest.raises(TeamRefused, match="may not read"):
            await http.ask("POST", path, plain, headers=headers)
    await http.close()
    for client in (ada, bob):
        await client.leave()


@pytest.mark.parametrize("token", ["", "wrong", "longllama_" + "a" * 43])
async def test_strangers_are_refused(team: Team, tmp_path: Path, token: str) -> None:
    client = TeamClient(TeamAddress(team.url, token), tmp_path, "team/app")
    with pytest.raises(TeamRefused, match="no such token"):
        await client.join()
    await client.leave()


async def test_edits_are_ones_own(team: Team, tmp_path: Path) -> None:
    ada, eve = await joined(team, "ada", tmp_path), await joined(team, "eve", tmp_path)
    path = "pkg0/module_000.py"
    for name, text in APP.items():  # as it is there: nothing is sent
        assert (await ada.remember(name, text)).n_encoded == 0
    assert ada.n_own_files == 0
    await ada.remember(path, EDIT)
    await ada.forget(["pkg1/module_001.py"])
    mine = {name: text for name, text in APP.items() if name != "pkg1/module_001.py"}
    assert same(await ada.complete(REQUEST), expected({**mine, path: EDIT}))
    assert same(await eve.complete(REQUEST), expected(APP))
    await ada.remember(path, APP[path])
    await ada.remember("pkg1/module_001.py", APP["pkg1/module_001.py"])
    assert ada.n_own_files == 0
    assert same(await ada.complete(REQUEST), expected(APP))
    for client in (ada, eve):
        await client.leave()


async def test_nobody_can_name_anothers_session(team: Team, tmp_path: Path) -> None:
    ada, eve = await joined(team, "ada", tmp_path), await joined(team, "eve", tmp_path)
    await ada.remember("new.py", EDIT)
    eve._overlay = replace(ada._overlay)
    found = await eve.complete(REQUEST)
    assert same(found, expected(APP))
    for client in (ada, eve):
        await client.leave()


# The end of requests.


async def test_a_request_that_is_withdrawn_stops_the_model(team: Team, tmp_path: Path) -> None:
    ada = await joined(team, "ada", tmp_path)
    await ada.complete(REQUEST)
    alone = time.monotonic()
    await ada.complete(LONG)
    alone = time.monotonic() - alone
    assert alone > 1.0, "too short to show anything"
    tasks = [asyncio.create_task(ada.complete(LONG)) for _ in range(4)]
    await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    began = time.monotonic()
    await ada.complete(REQUEST)
    assert time.monotonic() - began < alone / 2
    await ada.leave()


async def test_a_deadline_counts_the_time_in_the_queue(team: Team, tmp_path: Path) -> None:
    ada = await joined(team, "ada", tmp_path)
    busy = [asyncio.create_task(ada.complete(LONG)) for _ in range(2 * N_REPLICAS)]
    await asyncio.sleep(0.3)
    waiting = replace(REQUEST, timeout_ms=50)
    began = time.monotonic()
    found = await asyncio.gather(*(ada.complete(waiting) for _ in range(4)))
    assert time.monotonic() - began < 2.0
    assert "deadline" in {result.empty_reason for result in found}
    for task in busy:
        task.cancel()
    await asyncio.wait(busy)
    await ada.leave()


@functools.cache
def right_texts() -> set[str]:
    """What may be answered: a replica that does not know a window yet leaves out its edits."""
    return {expected(APP).text, expected({**APP, "new.py": EDIT}).text}


class Asking:
    """A window that asks one request after the other; each is answered as it should be."""

    def __init__(self, client: TeamClient) -> None:
        self._client = client
        self._is_over = False
        self.took_s: list[float] = []
        """Of each answer."""
        self._task = asyncio.create_task(self._ask_on())

    async def answers(self, n_more: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.took_s) + n_more
        await until(lambda: len(self.took_s) >= wanted or self._task.done())
        assert len(self.took_s) >= wanted, self._task.exception()

    async def stop(self) -> None:
        """Wait for the last answer."""
        self._is_over = True
        await self._task
        await self._client.leave()

    async def _ask_on(self) -> None:
        while not self._is_over:
            began = time.monotonic()
            result = await self._client.complete(replace(REQUEST, timeout_ms=PATIENT_MS))
            self.took_s.append(time.monotonic() - began)
            assert result.text in right_texts()


async def all_answer(asking: list[Asking], n_more: int) -> None:
    """Wait until each window has so many more answers."""
    await asyncio.gather(*(one.answers(n_more) for one in asking))


async def test_a_replica_that_is_killed_loses_no_request(team: Team, tmp_path: Path) -> None:
    clients = [await joined(team, "ada", tmp_path) for _ in range(4)]
    for client in clients:
        await client.remember("new.py", EDIT)
    assert len(replica_pids()) == N_REPLICAS
    asking = [Asking(client) for client in clients]
    await all_answer(asking, 2)
    first, second = replica_pids()
    kill(first)
    await all_answer(asking, 2)  # of which the first may have been given before
    await until(lambda: len(replica_pids() - {first}) == N_REPLICAS)
    kill(second)  # whichever held the repository
    await all_answer(asking, 2)
    await asyncio.gather(*(one.stop() for one in asking))
    await until(lambda: len(replica_pids() - {first, second}) == N_REPLICAS)


async def test_an_update_fails_no_request(team: Team, tmp_path: Path) -> None:
    from longllama_code.cluster.app import deploy
    from longllama_code.cluster.rights import add_user

    asking = [Asking(await joined(team, "ada", tmp_path)) for _ in range(3)]
    before = replica_pids()
    token = add_user(team.options.tokens, "new", ["other/*"])
    await asyncio.to_thread(deploy, team.options)
    await all_answer(asking, 1)
    await asyncio.gather(*(one.stop() for one in asking))
    await until(lambda: not before & replica_pids())
    newcomer = TeamClient(TeamAddress(team.url, token), tmp_path, "other/lib")
    await newcomer.join()
    assert same(await newcomer.complete(REQUEST), expected(LIB))
    await newcomer.leave()


# What is seen from outside.


async def test_metrics_and_logs_hold_no_source(team: Team, tmp_path: Path) -> None:
    ada = await joined(team, "ada", tmp_path)
    await ada.remember("new.py", EDIT)
    await ada.complete(replace(REQUEST, prefix=f"{MARK} = 1\n{MARK}"))
    await ada.leave()
    wanted = {"requests", "phase_ms", "tokens", "segments", "memory_tokens", "memory_bytes"}
    text = ""

    def has_all() -> bool:
        nonlocal text
        with suppress(OSError):  # nothing listens there yet
            text = _scraped(team.cluster.metrics_port)
        return all(f"longllama_{name}" in text for name in wanted)

    await until(has_all)
    assert 'repository="team/app"' in text
    assert 'outcome="answered"' in text or 'outcome="empty"' in text
    assert MARK not in text
    logs = Path(team.cluster.ray.nodes()[0]["RayletSocketName"]).parents[1] / "logs"
    written = "".join(
        path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file()
    )
    lines = [
        json.loads(json.loads(line)["message"])
        for path in (logs / "serve").glob("replica_*")
        for line in path.read_text().splitlines(keepends=True)
        if "outcome" in line and line.endswith("\n")  # the last one may be being written
    ]
    assert {"ada", "team/app@r1"} <= {line[key] for line in lines for key in ("user", "memory")}
    assert MARK not in written
    for part in ("value +=", *team.tokens.values()):
        assert part not in written


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    from longllama_code.cluster import metrics

    folder = Path(metrics.__file__).parent
    dashboard = json.loads((folder / "dashboard.json").read_text())
    source = (folder / "metrics.py").read_text()
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) >= 8
    for expression in asked:
        names = [part for part in _words(expression) if part.startswith("ray_longllama_")]
        assert names
        for name in names:
            bare = (
                name.removeprefix("ray_longllama_").removesuffix("_bucket").removesuffix("_total")
            )
            assert f'"{bare}"' in source, name


def _words(expression: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "_" else " " for c in expression).split()


def _scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


# What it must not do.


@pytest.mark.parametrize("missing", ["tokens", "tls_key", "all"])
def test_it_listens_to_no_strangers(team: Team, tmp_path: Path, missing: str) -> None:
    from longllama_code.cluster.app import rights_of
    from longllama_code.errors import ConfigError

    fields: dict[str, Any] = {
        "tokens": team.options.tokens,
        "tls_certificate": tmp_path / "certificate",
        "tls_key": tmp_path / "key",
    }
    fields = {} if missing == "all" else {**fields, missing: None}
    open_to_all = replace(team.options, host="0.0.0.0", **{"tokens": None, **fields})
    with pytest.raises(ConfigError, match="tls-certificate"):
        rights_of(open_to_all)


def test_ray_listens_on_the_loopback_interface_alone(team: Team) -> None:
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


async def test_a_wrong_address_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(TeamUnreachable):
        await TeamClient(TeamAddress("http://127.0.0.1:9/x"), tmp_path, "team/app").join()
