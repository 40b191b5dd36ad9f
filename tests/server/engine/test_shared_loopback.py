"""Engines that are shared over loopback: who comes in, and what a dead engine left behind."""

import asyncio
import os
import socket
import stat
import threading
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.engine.connection import EngineConnection, Listener
from lsp_server.engine.process.host import EngineHost
from lsp_server.engine.process.socket_server import EngineSocket
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_launcher import connect_or_launch
from lsp_server.engine.shared_loopback import _FORM, HOST, LoopbackPorts, PortFile
from lsp_server.engine.shared_transport import CannotShare, listening_socket
from tests.deadline import DEADLINE_S
from tests.paths import ROOT
from tests.server.engine.light_engine import LOOPBACK_FOLDER, LightEngine, light
from tests.server.engine.test_shared_launcher import Raw
from tests.server.waiting_client import soon

SECRET = b"0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of this test's address files."""
    monkeypatch.setenv(LOOPBACK_FOLDER, str(tmp_path / "engines"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path / "engines"
    for address in (tmp_path / "engines").glob("*.port"):
        address.unlink(missing_ok=True)


@pytest.fixture
def met(folder):
    """Meets the engine, and leaves it in the end."""
    engines = []

    def find():
        engines.append(connect_or_launch(light("light"), threading.Event()))
        return engines[-1]

    yield find
    for engine in engines:
        engine.socket.close()


@pytest.fixture
def stranger():
    """Another program that listens on a port."""
    with listening_socket(socket.AF_INET, (HOST, 0)) as listening:
        yield listening


def written(engine):
    return PortFile.parse(engine.endpoint.address.read_bytes())


def answer_to(port, said, *, and_ends=False):
    """What a port answers, until it closes the connection."""
    with socket.create_connection((HOST, port), DEADLINE_S) as connection:
        connection.settimeout(DEADLINE_S)
        try:
            connection.sendall(said)
            if and_ends:
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(1000)
        except ConnectionError:  # reset, as it closed before it had read everything
            return b""


def left_behind(address, *, port, pid, started_s=None):
    """The address file of an engine."""
    if started_s is None:
        started_s = psutil.Process(pid).create_time()
    address.write_bytes(PortFile(port, pid, started_s, SECRET, SECRET[::-1]).line())


# The address file.


@given(
    st.integers(1, 0xFFFF),
    st.integers(1, 10**9),
    st.integers(0, 10**11).map(lambda tenths: tenths / 10),
)
def test_an_address_file_is_read_as_it_was_written(port, pid, started_s):
    content = PortFile(port, pid, started_s, SECRET, SECRET[::-1])
    assert PortFile.parse(content.line()) == content


@given(st.binary() | st.from_regex(_FORM) | st.from_regex(_FORM, fullmatch=True))
def test_whatever_a_file_holds_it_is_an_address_or_none(content):
    found = PortFile.parse(content)
    assert found is None or found.line() == content


def test_a_reader_finds_all_of_it_or_nothing(folder):
    transport = LoopbackPorts(folder)
    address = transport.address("one")
    ended, partial = threading.Event(), []

    def read():
        while not ended.is_set():
            try:
                content = address.read_bytes()
            except OSError:
                continue
            partial.extend([content] if PortFile.parse(content) is None else [])

    reading = threading.Thread(target=read)
    reading.start()
    try:
        for _ in range(200):
            transport.listen(address).socket.close()
    finally:
        ended.set()
        reading.join(DEADLINE_S)
    assert not partial
    assert [path.name for path in folder.iterdir()] == ["one.port"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
def test_only_the_user_can_read_it(folder, met):
    before = os.umask(0)
    try:
        address = met().endpoint.address
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(address.stat().st_mode) == 0o600


def test_a_folder_that_is_no_folder_of_the_users_own(folder, tmp_path):
    folder.write_text("", "utf-8")
    with pytest.raises(CannotShare, match="cannot be used"):
        LoopbackPorts(folder).address("one")


def test_the_secrets_stand_nowhere_else(met):
    engine = met()
    found = written(engine)
    answer_to(found.port, b"x" * 64)
    raw = Raw(engine).hello()
    public = engine.endpoint.log.read_text("utf-8") + str(psutil.Process(engine.pid).cmdline())
    assert "refused" in public
    for secret in (found.token, found.proof):
        assert len(secret) == 64
        assert secret.decode() not in public
    raw.close()


# Who comes in.


@pytest.mark.parametrize(
    "said",
    [
        b"0" * 64,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + b"x" * 64,
        b'Content-Length: 44\r\n\r\n{"jsonrpc":"2.0","id":1,"method":"engine/hello"}' + b" " * 64,
        b"\0" * 100_000,
    ],
    ids=["wrong", "http", "hello", "much"],
)
def test_who_does_not_begin_with_the_token_gets_no_answer(met, said):
    engine = met()
    port = written(engine).port
    assert answer_to(port, said) == b""
    raw = Raw(met()).hello()
    assert raw.n_users() == 1
    raw.close()


def test_neither_part_of_the_token_nor_the_proof_is_enough(met):
    found = written(met())
    assert answer_to(found.port, found.token[:63], and_ends=True) == b""
    assert answer_to(found.port, found.token[:63] + b"g") == b""
    assert answer_to(found.port, found.proof) == b""
    assert answer_to(found.port, found.token) == found.proof


async def test_who_says_nothing_is_sent_away(folder):
    address = LoopbackPorts(folder).address("one")
    serving = asyncio.create_task(EngineSocket(EngineHost(LightEngine), address, 0.1).serve())
    while not address.exists():
        await asyncio.sleep(0.01)
    port = PortFile.parse(address.read_bytes()).port
    reader, writer = await asyncio.open_connection(HOST, port)
    assert await soon(reader.read()) == b""
    writer.close()
    serving.cancel()
    await asyncio.wait([serving])


def test_who_says_nothing_does_not_keep_it(met):
    engine = met()
    with socket.create_connection((HOST, written(engine).port)):
        Raw(engine).hello(idle_s=0).leave()
        assert engine.process.wait(DEADLINE_S) == 0
    assert not engine.endpoint.address.exists()


async def test_a_program_in_the_engines_place_is_told_nothing(folder, stranger):
    """It has the port that the address file of a running process names."""
    options = light("light", is_shared=True, name="secret project", hang_timeout_s=DEADLINE_S)
    port = stranger.getsockname()[1]
    left_behind(Endpoint.for_options(options).address, port=port, pid=os.getpid())
    heard = asyncio.create_task(asyncio.to_thread(_hear, stranger))
    connection = EngineConnection(Listener(print, print, print, print))
    with pytest.raises(CannotShare, match="another program"):
        await soon(connection.join(options))
    await soon(connection.close())
    assert connection.pid is None
    assert await soon(heard) == SECRET


def _hear(listening):
    """What is said to a program that answers each first message with a guess."""
    listening.setblocking(True)
    listening.settimeout(DEADLINE_S)
    connection, _ = listening.accept()
    with connection:
        heard = connection.recv(1000)
        connection.sendall(b"f" * 64)
        while more := connection.recv(1000):
            heard += more
        return heard


# What a dead engine left.


@pytest.mark.parametrize("whose", ["nobody", "a later process"])
def test_a_port_of_a_dead_engine_that_another_program_has_is_left_alone(
    met, folder, stranger, whose
):
    address = Endpoint.for_options(light("light")).address
    pid, started_s = (os.getpid(), 1.0) if whose == "a later process" else (2**22 + 1, 1.0)
    left_behind(address, port=stranger.getsockname()[1], pid=pid, started_s=started_s)
    engine = met()
    assert engine.process is not None
    assert Raw(engine).hello().n_users() == 1
    with pytest.raises(BlockingIOError):
        stranger.accept()  # nobody came


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 5000, b"70000 1 1.0 x y\n"])
def test_a_damaged_address_file_is_replaced(met, folder, content):
    Endpoint.for_options(light("light")).address.write_bytes(content)
    engine = met()
    assert written(engine).pid == engine.pid
    assert met().pid == engine.pid


def test_a_port_in_use_is_nobody_elses(folder, stranger):
    with pytest.raises(OSError, match="in use"):
        listening_socket(socket.AF_INET, stranger.getsockname())
    transport = LoopbackPorts(folder)
    addresses = [transport.address(name) for name in ("one", "other")]
    listening = [transport.listen(address) for address in addresses]
    ports = {PortFile.parse(address.read_bytes()).port for address in addresses}
    assert len(ports | {stranger.getsockname()[1]}) == 3
    for each in listening:
        each.socket.close()


# What Windows does.


@pytest.fixture
def refusing():
    """Lets some operation on paths fail so many times, as for a file that is open elsewhere.

    Where it will succeed, patience has time for it on a busy machine.
    """

    def refuse(name, *paths, n_times):
        refused, real = [], getattr(Path, name)
        patience_s = DEADLINE_S if n_times < 10 else 0.2
        patch.setattr("lsp_server.engine.shared_transport.PATIENCE_S", patience_s)

        def act(path, *args, **options):
            if path in paths and len(refused) < n_times:
                refused.append(path)
                raise PermissionError(13, "used by another process")
            return real(path, *args, **options)

        patch.setattr(Path, name, act)
        return refused

    with pytest.MonkeyPatch.context() as patch:
        yield refuse


def test_an_address_that_another_program_reads_is_found_all_the_same(folder, refusing):
    transport = LoopbackPorts(folder)
    address = transport.address("one")
    replaced = refusing("replace", address.with_suffix(".new"), n_times=2)
    with transport.listen(address).socket:
        opened = refusing("open", address, n_times=2)
        transport.connect(address).socket.close()
        assert len(replaced) == len(opened) == 2
        refusing("open", address, n_times=10**6)
        assert transport.connect(address) is None


@pytest.mark.parametrize("n_refusals", [2, 10**6])
def test_an_address_that_another_program_reads_is_removed_later(met, folder, refusing, n_refusals):
    address = Endpoint.for_options(light("light")).address
    address.write_bytes(b"")
    refused = refusing("unlink", address, n_times=n_refusals)
    if n_refusals == 2:
        assert met().process is not None
    else:
        with pytest.raises(CannotShare, match="cannot be replaced"):
            met()
    assert len(refused) > 1


def test_the_port_is_kept_from_programs_that_would_share_it(monkeypatch):
    """As ``SO_REUSEADDR`` lets any program listen on a port in use there."""
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    with listening_socket(socket.AF_INET, (HOST, 0)) as listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
