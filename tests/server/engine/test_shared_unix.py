"""Unix sockets of shared engines: whose folder it is, and who is at the other end."""

import os
import threading
from pathlib import Path

import pytest

from lsp_server.engine import shared_unix
from lsp_server.engine.shared_launcher import connect_or_launch
from lsp_server.engine.shared_transport import CannotShare
from lsp_server.engine.shared_unix import Peer, UnixSockets, has_unix_sockets, private_folder
from tests.server.engine.light_engine import light

pytestmark = pytest.mark.skipif(not has_unix_sockets(), reason="no Unix sockets here")


@pytest.fixture
def base(monkeypatch, tmp_path):
    """The user's folder for what runs."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_a_folder_that_is_somebody_elses_is_not_used(base, monkeypatch):
    folder = base / "longllama"
    folder.symlink_to(base)
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


def test_a_path_too_long_for_a_socket(base, monkeypatch):
    long = base / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(CannotShare, match="too long"):
        connect_or_launch(light("light"), threading.Event())


def test_an_engine_of_another_user_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = Path("a.sock")  # short enough for a socket
    transport = UnixSockets()
    with transport.listen(address).socket:
        reached = transport.connect(address)
        assert reached.pid == os.getpid()
        assert not transport.is_stranger(reached.socket)
        reached.socket.close()
        monkeypatch.setattr(shared_unix, "peer_of", lambda _: Peer(uid=12345))
        with pytest.raises(CannotShare, match="belongs to somebody else"):
            transport.connect(address)
