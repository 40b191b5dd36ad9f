"""Servers find the engine that they share, or start one: real processes, without a model."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from lsp_server.engine import shared_endpoint
from lsp_server.engine.protocol import VERSION
from lsp_server.engine.shared_endpoint import CannotShare, Endpoint, private_folder
from lsp_server.engine.shared_launcher import DiedAtStart, LaunchCancelled, connect_or_launch
from tests.paths import ROOT
from tests.server.engine.light_engine import LightOptions, light

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no local sockets there")

DEADLINE_S = 30
OPTIONS = light("light")
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
def folder(monkeypatch):
    """The folder of sockets of this test: of a short path, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="ll-") as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        yield Path(base) / "longllama"
        for path in (Path(base) / "longllama").glob("*.sock"):
            path.unlink(missing_ok=True)  # what still listens there ends by this


@pytest.fixture
def met(folder):
    """Meets the engine of options, and leaves it in the end."""
    engines = []

    def find(options=OPTIONS):
        engines.append(connect_or_launch(options, threading.Event()))
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
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


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
    finally:
        for server in servers:
            server.communicate("\n", timeout=DEADLINE_S)
    assert len({pid for pid, _ in answers}) == 1
    assert [started for _, started in answers].count("True") == 1
    assert [path.suffix for path in folder.iterdir()].count(".sock") == 1


def test_what_a_killed_engine_left_is_no_hindrance(met, folder):
    first = met()
    endpoint = first.endpoint
    os.kill(first.pid, signal.SIGKILL)
    first.process.wait(DEADLINE_S)
    assert endpoint.socket.exists()
    assert endpoint.lock.exists()
    second = met()
    assert second.pid != first.pid
    assert second.endpoint == endpoint


def test_the_lock_of_a_server_that_died_starting_the_engine_is_free(met, folder):
    endpoint = Endpoint.for_options(OPTIONS)
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
    endpoints = [Endpoint.for_options(OPTIONS), Endpoint.for_options(light("light", threads=2))]
    endpoints += [Endpoint.for_options(light(str(tmp_path)))]
    (tmp_path / "config.json").write_text('{"other": 1}')
    endpoints += [Endpoint.for_options(light(str(tmp_path)))]
    first = met()
    monkeypatch.setattr(shared_endpoint, "VERSION", "0.0.1/1")
    endpoints += [Endpoint.for_options(OPTIONS)]
    assert len(set(endpoints)) == len(endpoints)
    second = met()
    assert second.pid != first.pid
    for same in (light("light", idle_s=5), light("light", name="other")):
        assert Endpoint.for_options(same) == Endpoint.for_options(OPTIONS)


def test_an_engine_that_cannot_even_begin(folder):
    class Broken(LightOptions):
        def command(self, socket=None):
            return [sys.executable, "-c", "raise SystemExit(3)"]

    with pytest.raises(DiedAtStart, match=r"\.log") as caught:
        connect_or_launch(light("light", Broken), threading.Event())
    assert caught.value.returncode == 3


def test_nobody_waits_for_it_any_more(folder):
    class Slow(LightOptions):
        def command(self, socket=None):
            return ["sleep", "600"]

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
    left, lately = Endpoint(folder, "left"), Endpoint(folder, "lately")
    for endpoint in (left, lately):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(endpoint.socket))
        endpoint.lock.touch()
        endpoint.log.touch()
    for log in (served.log, left.log):
        os.utime(log, (0, 0))
    met()
    assert not list(folder.glob("left.*"))
    assert len(list(folder.glob("lately.*"))) == 3
    assert served.socket.exists()
    assert served.log.exists()


# Who may come in.


def test_the_folder_is_for_its_user_alone(folder, met):
    folder.mkdir(0o755)
    endpoint = met().endpoint
    assert folder.stat().st_mode & 0o777 == 0o700
    assert endpoint.socket.stat().st_mode & 0o077 == 0
    assert endpoint.log.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_somebody_elses_is_not_used(folder, monkeypatch, tmp_path):
    folder.symlink_to(tmp_path)
    with pytest.raises(CannotShare, match="belongs to somebody else"):
        private_folder()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(CannotShare, match="cannot be used"):
        private_folder()
    folder.unlink()
    folder.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(CannotShare, match="belongs to somebody else"):
        private_folder()


def test_a_path_too_long_for_a_socket(folder, monkeypatch, tmp_path):
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(CannotShare, match="too long"):
        connect_or_launch(OPTIONS, threading.Event())


def test_an_engine_of_another_user_is_not_asked(met, monkeypatch):
    met()
    real = shared_endpoint.peer_of
    monkeypatch.setattr(
        "lsp_server.engine.shared_launcher.peer_of",
        lambda connection: shared_endpoint.Peer(uid=12345, pid=real(connection).pid),
    )
    with pytest.raises(CannotShare, match="belongs to somebody else"):
        met()


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
    assert not engine.endpoint.socket.exists()
    with FileLock(engine.endpoint.lock, timeout=DEADLINE_S):
        pass


def test_it_stays_for_the_next_one(met):
    first = met()
    Raw(first).hello(idle_s=60).leave()
    assert met().pid == first.pid


def test_it_ends_where_nobody_can_find_it(met):
    first = met()
    raw = Raw(first).hello(idle_s=60)
    first.endpoint.socket.unlink()
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
    assert not first.endpoint.socket.exists()
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
