"""Servers find the engine that they share, or start one: real processes, without a model."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest
from filelock import FileLock

from lsp_server.engine import shared_endpoint
from lsp_server.engine.protocol import VERSION
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_launcher import DiedAtStart, LaunchCancelled, connect_or_launch
from tests.deadline import DEADLINE_S
from tests.server.engine.conftest import addresses
from tests.server.engine.light_engine import LightOptions, light

CONNECT = """
import sys, threading
from lsp_server.engine.shared_launcher import connect_or_launch
from tests.server.engine.light_engine import light
print("here", flush=True)
sys.stdin.readline()
engine = connect_or_launch(light("light"), threading.Event())
print(engine.pid, engine.process is not None, flush=True)
sys.stdin.readline()
"""
HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def met(folder):
    """Meets the engine of options, and leaves it in the end."""
    engines = []

    def find(options=None):
        engines.append(connect_or_launch(options or light("light"), threading.Event()))
        return engines[-1]

    yield find
    for engine in engines:
        engine.socket.close()


class Raw:
    """Messages over a connection, one at a time."""

    def __init__(self, engine):
        self.connection = engine.socket
        self.connection.settimeout(DEADLINE_S)
        self._stream = self.connection.makefile("rb")
        assert self._stream.read(len(engine.proof)) == engine.proof

    def ask(self, method, **params):
        """The answer, whatever else comes before it."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        body = json.dumps(message).encode()
        self.connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        while "id" not in (answer := self._read()):
            pass
        return answer

    def hello(self, **params):
        answer = self.ask("engine/hello", version=VERSION, **params)
        assert answer["result"] == {"version": VERSION}
        return self

    def n_users(self):
        return self.ask("engine/status")["result"]["n_segments"]

    def leave(self):
        """Say no more, and wait for the other side to end."""
        self.connection.shutdown(socket.SHUT_WR)
        self._stream.read()
        self.close()

    def close(self):
        self._stream.close()
        self.connection.close()

    def _read(self):
        length = int(self._stream.readline().split(b":")[1])
        while self._stream.readline().strip():
            pass
        return json.loads(self._stream.read(length))


def until(is_so):
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_several_that_look_at_once_start_one(folder):
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", CONNECT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for server in servers:
            assert server.stdout.readline() == "here\n"
        for server in servers:
            server.stdin.write("\n")
            server.stdin.flush()
        answers = [server.stdout.readline().split() for server in servers]
        assert len(addresses(folder)) == 1
    finally:
        for server in servers:
            server.communicate("\n", timeout=DEADLINE_S)
    assert len({pid for pid, _ in answers}) == 1
    assert [started for _, started in answers].count("True") == 1


def test_what_a_killed_engine_left_is_no_hindrance(met, folder):
    first = met()
    endpoint = first.endpoint
    psutil.Process(first.pid).kill()
    first.process.wait(DEADLINE_S)
    assert endpoint.address.exists()
    assert endpoint.lock.exists()
    second = met()
    assert second.pid != first.pid
    assert second.endpoint == endpoint


def test_the_lock_of_a_server_that_died_starting_the_engine_is_free(met, folder):
    endpoint = Endpoint.for_options(light("light"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(endpoint.lock)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    found = []
    looking = threading.Thread(target=lambda: found.append(met()))
    looking.start()
    time.sleep(0.2)
    assert not found
    holder.kill()
    holder.communicate()
    looking.join(DEADLINE_S)
    assert found[0].process is not None


def test_another_version_other_options_and_other_files_get_another_engine(
    met, monkeypatch, tmp_path
):
    (tmp_path / "config.json").write_text("{}")
    endpoints = [
        Endpoint.for_options(light("light")),
        Endpoint.for_options(light("light", threads=2)),
    ]
    endpoints += [Endpoint.for_options(light(str(tmp_path)))]
    (tmp_path / "config.json").write_text('{"other": 1}')
    endpoints += [Endpoint.for_options(light(str(tmp_path)))]
    first = met()
    monkeypatch.setattr(shared_endpoint, "VERSION", "0.0.1/1")
    endpoints += [Endpoint.for_options(light("light"))]
    assert len(set(endpoints)) == len(endpoints)
    second = met()
    assert second.pid != first.pid
    for same in (light("light", idle_s=5), light("light", name="other")):
        assert Endpoint.for_options(same) == Endpoint.for_options(light("light"))


def test_an_engine_that_cannot_even_begin(folder):
    class Broken(LightOptions):
        def command(self, address=None):
            return [sys.executable, "-c", "raise SystemExit(3)"]

    with pytest.raises(DiedAtStart, match=r"\.log") as caught:
        connect_or_launch(light("light", Broken), threading.Event())
    assert caught.value.returncode == 3


def test_nobody_waits_for_it_any_more(folder):
    class Slow(LightOptions):
        def command(self, address=None):
            return [sys.executable, "-c", "import time; time.sleep(600)"]

    given_up, outcome = threading.Event(), []

    def look():
        with pytest.raises(LaunchCancelled):
            connect_or_launch(light("light", Slow), given_up)
        outcome.append("given up")

    looking = threading.Thread(target=look)
    looking.start()
    until(lambda: list(folder.glob("*.log")))
    given_up.set()
    looking.join(DEADLINE_S)
    assert outcome == ["given up"]
    with FileLock(Endpoint.for_options(light("light", Slow)).lock, timeout=0):
        pass  # nobody holds it any more


def test_what_was_left_behind_long_ago_is_removed(met, folder):
    served = met(light("light", threads=2)).endpoint
    kind = served.address.suffix
    left, lately = (Endpoint(folder / f"{name}{kind}") for name in ("left", "lately"))
    for endpoint in (left, lately):
        endpoint.transport.listen(endpoint.address).socket.close()
        endpoint.lock.touch()
        endpoint.log.touch()
    for log in (served.log, left.log):
        os.utime(log, (0, 0))
    met()
    assert not list(folder.glob("left.*"))
    assert len(list(folder.glob("lately.*"))) == 3
    assert served.address.exists()
    assert served.log.exists()


# Who may come in.


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_the_folder_is_for_its_user_alone(folder, met):
    folder.mkdir(0o755)
    endpoint = met().endpoint
    assert folder.stat().st_mode & 0o777 == 0o700
    assert endpoint.address.stat().st_mode & 0o077 == 0
    assert endpoint.log.stat().st_mode & 0o077 == 0


def test_what_comes_before_hello_or_is_no_message_does_not_harm(met):
    first = met()
    raw = Raw(first)
    refused = raw.ask("engine/status")
    assert "comes first" in refused["error"]["message"]
    refused = raw.ask("engine/hello", version="0.0.1/1")
    assert VERSION in refused["error"]["message"]
    assert "error" in raw.ask("engine/hello")
    raw.hello()
    for nonsense in (
        b"\0" * 1000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"Content-Length: 5\r\n\r\n[1,2]",
        b'Content-Length: 4\r\n\r\n"\xff"x',
        b"Content-Length: 99999999999999\r\n\r\n{",
        b"Content-Length: 60\r\n\r\n{",
        b"\r\n" * 100,
        b"Content-Length: 4000\r\n\r\n" + b"[" * 4000,
        b'Content-Length: 46\r\n\r\n{"jsonrpc":"2.0","id":{},"method":"engine/st"}',
    ):
        with met().socket as connection:
            connection.sendall(nonsense)
    assert met().pid == first.pid
    assert raw.n_users() == 1
    raw.close()


# Its end.


def test_the_last_one_out_says_how_long_it_stays(met):
    engine = met()
    first, second = Raw(engine).hello(idle_s=60), Raw(met()).hello(idle_s=0)
    second.leave()
    third = Raw(met()).hello(idle_s=0)
    first.leave()
    assert third.n_users() == 1
    third.leave()
    assert engine.process.wait(DEADLINE_S) == 0
    assert not engine.endpoint.address.exists()
    with FileLock(engine.endpoint.lock, timeout=DEADLINE_S):
        pass


def test_it_stays_for_the_next_one(met):
    first = met()
    Raw(first).hello(idle_s=60).leave()
    assert met().pid == first.pid


def test_it_ends_where_nobody_can_find_it(met):
    first = met()
    raw = Raw(first).hello(idle_s=60)
    first.endpoint.address.unlink()
    assert first.process.wait(DEADLINE_S) == 0
    raw.close()


def test_it_makes_room_for_another_try_where_there_is_no_model(met):
    first = met(light("none"))
    raw = Raw(first).hello(idle_s=60)
    assert raw._read() == {
        "jsonrpc": "2.0",
        "method": "engine/failed",
        "params": {"message": "no model none"},
    }
    assert first.process.wait(DEADLINE_S) == 0
    assert not first.endpoint.address.exists()
    raw.close()


def test_the_end_of_who_started_it_is_not_its_own(met, folder):
    starter = subprocess.Popen(
        [sys.executable, "-c", CONNECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    starter.stdin.write("\n")
    starter.stdin.flush()
    assert starter.stdout.readline() == "here\n"
    pid, started = starter.stdout.readline().split()
    assert started == "True"
    second = Raw(engine := met()).hello()
    starter.kill()
    starter.communicate()
    assert engine.pid == int(pid)
    assert second.n_users() == 1
    second.leave()
    until(lambda: is_gone(int(pid)))
