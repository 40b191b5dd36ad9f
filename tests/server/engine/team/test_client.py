"""What a window sends to a cluster, and that its requests are answered whatever happens there."""

import asyncio
from typing import ClassVar

import pytest

from longllama_code import team_protocol as protocol
from longllama_code.engine_options import EngineOptions
from longllama_code.protocol import CompletionRequest
from lsp_server.engine.client import EngineState
from lsp_server.engine.connection import EngineAway, EngineError
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.team import client as team_client
from lsp_server.engine.team import engine as team_engine
from lsp_server.engine.team.client import TeamClient
from lsp_server.engine.team.engine import TeamEngine, TeamOptions
from lsp_server.engine.team.http import TeamAddress, TeamRefused, TeamUnreachable
from tests.deadline import DEADLINE_S

from .team_server import TeamServer

FILES = {"a.py": "a = 1\n", "lib/b.py": "b = 1\n"}
REQUEST = CompletionRequest("c.py", "x = ", "")


@pytest.fixture
async def server():
    server = TeamServer(FILES)
    await server.start()
    yield server
    await server.end()


@pytest.fixture
async def client(server, tmp_path):
    client = TeamClient(TeamAddress(server.url, "secret"), tmp_path, "team/app")
    await client.join()
    yield client
    await client.leave()


def sent(server):
    return b"".join(server.bodies)


async def until(what):
    """Wait until something is so."""

    async def wait():
        while not what():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_a_file_as_the_cluster_has_it_is_not_sent(server, client):
    n_asked = len(server.asked)
    result = await client.remember("a.py", FILES["a.py"])
    assert (result.n_tokens, result.n_kept, result.n_encoded) == (10, 1, 0)
    assert len(server.asked) == n_asked
    await client.remember("lib/b.py", "b = 2\n")
    await client.remember("new.py", "n = 1\n")
    assert server.texts == {"lib/b.py": "b = 2\n", "new.py": "n = 1\n"}
    assert client.n_own_files == 2
    await client.remember("lib/b.py", FILES["lib/b.py"])
    await client.forget(["new.py", "a.py"])
    await client.complete(REQUEST)
    assert client._overlay.files == {"a.py": None}
    assert FILES["a.py"].encode() not in sent(server)


async def test_the_token_goes_in_a_header_alone(server, client):
    await client.complete(REQUEST)
    assert all(headers["authorization"] == "Bearer secret" for _, headers in server.asked)
    assert server.asked[-1][1]["serve_multiplexed_model_id"] == "team/app@r1"
    assert b"secret" not in sent(server)
    assert "secret" not in repr(TeamAddress(server.url, "secret"))


async def test_an_answer_that_breaks_off_is_asked_for_again(server, client):
    server.drops = 2
    told = []
    result = await client.complete(REQUEST, told.append)
    assert result.text == "partial"
    assert told == ["par", "par", "par"]
    assert [path for path, _ in server.asked].count("/v1/complete") == 3


async def test_nobody_answers_in_time(server, client):
    server.drops = 99
    request = CompletionRequest("c.py", "x = ", "", timeout_ms=400)
    with pytest.raises(TeamUnreachable):
        await client.complete(request)


async def test_a_cluster_that_is_busy_is_not_away(server, client, monkeypatch):
    monkeypatch.setattr(team_client, "SLACK_S", 0.0)
    server.may_answer.clear()
    request = CompletionRequest("c.py", "x = ", "", timeout_ms=100)
    result = await client.complete(request)
    assert (result.text, result.empty_reason) == ("", "deadline")
    server.may_answer.set()
    assert (await client.complete(REQUEST)).text == "partial"


async def test_a_replica_that_lacks_own_files_is_sent_them(server, client):
    await client.remember("new.py", "n = 1\n")
    server.texts.clear()  # another replica answers
    assert (await client.complete(REQUEST)).text == "partial"
    await until(lambda: server.texts)
    assert (await client.complete(REQUEST)).text == "partial new.py"


async def test_a_request_that_is_withdrawn_ends_the_connection(server, client):
    server.may_answer.clear()
    task = asyncio.create_task(client.complete(REQUEST))
    await until(lambda: server.asked[-1][0] == protocol.COMPLETE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(server.withdrawn.wait(), DEADLINE_S)
    server.may_answer.set()
    assert (await client.complete(REQUEST)).text == "partial"


async def test_leaving_ends_the_connections_also_if_it_is_cancelled(server, tmp_path):
    """A window that is closed while it goes from one revision to the next does that."""
    client = TeamClient(TeamAddress(server.url), tmp_path, "team/app")
    await client.join()
    await client.remember("new.py", "n = 1\n")
    server.withholds = {protocol.LEAVE}
    leaving = asyncio.create_task(client.leave())
    await until(lambda: server.asked[-1][0] == protocol.LEAVE)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert client._http._client.is_closed


async def test_no_more_files_than_edits_are_sent(server, client, monkeypatch):
    monkeypatch.setattr(team_client, "MAX_OWN_FILES", 1)
    await client.remember("new.py", "n = 1\n")
    await client.remember("new.py", "n = 2\n")
    with pytest.raises(TeamRefused, match="more than 1 files differ from revision r1"):
        await client.remember("newer.py", "n = 1\n")
    assert server.texts == {"new.py": "n = 2\n"}


async def test_a_large_file_is_sent_around_the_cursor(server, client):
    n = team_client.MAX_AROUND_CHARS
    request = CompletionRequest("c.py", "BEGIN" + n * "x", n * "y" + "END")
    await client.complete(request)
    assert b"BEGIN" not in sent(server)
    assert b"END" not in sent(server)
    assert n * b"x" in sent(server)


# The choice between the cluster and the local engine.


class LocalEngine:
    """An engine of this machine that is ready at once, or when it is told."""

    is_limited, note, hung, n_restarts, pid, token_bytes = True, "", False, 0, 1, 3

    def __init__(self, _, on_state):
        self._on_state = on_state
        self.state, self.message = EngineState.STOPPED, ""
        self.made.append(self)

    made: ClassVar[list["LocalEngine"]] = []

    async def start(self):
        self.state = EngineState.READY
        self._on_state(self.state, "")

    async def stop(self):
        self.state = EngineState.STOPPED

    async def complete(self, _request, _tell):
        await asyncio.sleep(0.2)
        return "local"


@pytest.fixture
def states():
    return []


@pytest.fixture
async def engine(server, tmp_path, monkeypatch, states):
    LocalEngine.made = []
    monkeypatch.setattr(team_engine, "EngineClient", LocalEngine)
    monkeypatch.setattr(team_engine, "REJOIN_S", 0.05)
    monkeypatch.setattr(team_engine, "CHECK_EVERY_S", 0.05)
    team = TeamOptions(TeamAddress(server.url), (tmp_path,), "team/app")
    options = ClientOptions(EngineOptions("tiny"))
    engine = TeamEngine(team, options, lambda state, _: states.append(state))
    yield engine
    await engine.stop()


async def test_the_local_engine_takes_over_and_is_left_again(server, engine, states):
    await engine.start()
    await until(lambda: engine.ready)
    assert not engine.is_limited
    assert engine.token_bytes == 7
    assert (await engine.complete(REQUEST)).text == "partial"
    server.stop()
    await until(lambda: engine.is_limited)
    assert "the local one answers" in engine.note
    late = asyncio.create_task(engine.complete(REQUEST))
    await asyncio.sleep(0.05)
    await server.start()
    await until(lambda: not engine.is_limited)
    assert await late == "local"  # what it was asked is answered first
    assert "nothing else" in engine.note
    assert (await engine.complete(REQUEST)).text == "partial"
    await until(lambda: LocalEngine.made[0].state is EngineState.STOPPED)
    assert states == [EngineState.LOADING, *3 * [EngineState.READY]]


async def test_a_local_engine_that_is_left_just_then_ends_too(server, engine):
    server.stop()
    await engine.start()
    await until(lambda: engine.ready)
    late = asyncio.create_task(engine.complete(REQUEST))
    await asyncio.sleep(0.01)
    await server.start()
    await until(lambda: not engine.is_limited)
    await engine.stop()
    assert LocalEngine.made[0].state is EngineState.STOPPED
    assert await late == "local"


async def test_a_later_revision_is_joined(server, engine, states):
    await engine.start()
    await until(lambda: engine.ready)
    server.revision = "r2"
    await until(lambda: len(states) == 3)
    await engine.complete(REQUEST)
    assert server.asked[-1][1]["serve_multiplexed_model_id"] == "team/app@r2"
    assert not LocalEngine.made


async def test_one_failure_does_not_leave_the_cluster(server, engine, states):
    await engine.start()
    await until(lambda: engine.ready)
    server.drops = 99
    with pytest.raises(EngineAway):
        await engine.complete(CompletionRequest("c.py", "x = ", "", timeout_ms=100))
    server.drops = 0
    await asyncio.sleep(0.2)
    assert (await engine.complete(REQUEST)).text == "partial"
    assert states == [EngineState.LOADING, EngineState.READY]


async def test_a_refusal_is_said(server, engine):
    server.refusal = "ada may not read team/app"
    await engine.start()
    await until(lambda: engine.is_limited)
    assert "ada may not read team/app" in engine.note


async def test_several_folders_are_no_repository(engine, tmp_path):
    engine._team = TeamOptions(engine._team.address, (tmp_path, tmp_path / "b"))
    await engine.start()
    await until(lambda: engine.is_limited)
    assert "open one folder in a window" in engine.note


async def test_the_stores_of_others_are_not_cleared(engine):
    await engine.start()
    await until(lambda: engine.ready)
    with pytest.raises(EngineError, match="the cluster's"):
        await engine.clear_store()
