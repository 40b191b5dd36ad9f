"""Branches that Windows and macOS take, run here by injection (docs/portability.md)."""

import asyncio
import os
import runpy
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import platformdirs
import pytest

from longllama_code import console, paths
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import ConfigError
from longllama_code.model_sources import gguf_source, hub, local_models
from longllama_code.source_files import git_config, regular_files
from lsp_server.engine import client, shared_unix
from lsp_server.engine.options import ClientOptions
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.shared_loopback import LoopbackPorts
from lsp_server.engine.shared_unix import Peer, peer_of
from lsp_server.handlers.lifecycle import _watch_parent

SHARED = ClientOptions(EngineOptions("tiny"), is_shared=True)


class Connection:
    """A connection that answers as macOS does."""

    def __init__(self, uid: int, pid: int) -> None:
        self._answers = {1: struct.pack("Ii", 0, uid) + bytes(68), 2: struct.pack("i", pid)}

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert level == 0
        return self._answers[option][:size]


def on(monkeypatch: pytest.MonkeyPatch, module: object, platform: str) -> None:
    """Let a module, and no other, see another platform."""
    monkeypatch.setattr(module, "sys", SimpleNamespace(platform=platform), raising=True)


@pytest.mark.parametrize("missing", [(socket, "AF_UNIX"), (os, "getuid")])
def test_engines_are_shared_over_loopback_without_unix_sockets(
    missing: tuple[object, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.CACHE_VARIABLE, str(tmp_path / "größe" / "a b"))
    monkeypatch.setattr(paths, "user_id", lambda: tmp_path.stat().st_uid)  # 0 on Windows
    monkeypatch.delattr(*missing, raising=False)
    endpoint = Endpoint.for_options(SHARED)
    assert endpoint.transport == LoopbackPorts()
    assert endpoint.address.parent == tmp_path / "größe" / "a b" / "engines"
    with endpoint.transport.listen(endpoint.address).socket:
        reached = endpoint.transport.connect(endpoint.address)
        assert reached is not None
        assert reached.pid == os.getpid()
        reached.socket.close()


async def test_windows_joins_a_shared_engine_as_other_systems_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joined: list[str] = []

    async def join() -> None:
        joined.append("joined")

    engine = client.EngineClient(SHARED, lambda *_: None)
    monkeypatch.setattr(engine, "_join", join)
    monkeypatch.setattr(sys, "platform", "win32")
    await engine.start()
    for _ in range(3):
        await asyncio.sleep(0)
    assert joined == ["joined"]


def test_macos_names_the_peer_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, shared_unix, "darwin")
    monkeypatch.setattr(os, "getuid", lambda: 501, raising=False)
    mine, other = peer_of(Connection(501, 77)), peer_of(Connection(502, 78))
    assert mine == Peer(501, 77)
    assert (mine.is_other_user, other.is_other_user) == (False, True)


def test_a_system_that_names_no_peer_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, shared_unix, "freebsd14")
    assert peer_of(Connection(1, 2)) == Peer()
    assert not Peer().is_other_user


def test_a_user_without_home_or_number_has_a_folder_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(paths.CACHE_VARIABLE, raising=False)
    monkeypatch.delattr(os, "getuid", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _: Path("longllama"))
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(tmp_path))
    path = paths.cache_path()
    assert path == tmp_path / "longllama-cache-0"
    path.write_text("no folder", "utf-8")
    with pytest.raises(ConfigError, match="not this user's own folder"):
        paths.cache_path()


@pytest.mark.parametrize("name", ["O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY"])
def test_a_system_that_lacks_a_flag_reads_files_all_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, name, raising=False)
    module = runpy.run_path(regular_files.__file__)
    file = tmp_path / "ä b.py"
    file.write_bytes(b"a\r\nb")
    assert module["read_regular"](file, 100) == b"a\r\nb"
    with pytest.raises(OSError, match="not a regular file"):
        module["read_regular"](tmp_path, 100)


@pytest.mark.parametrize("link", [hub._link, gguf_source._link])
def test_weights_are_copied_where_no_link_can_be_made(
    link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1314, "a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    monkeypatch.setattr(os, "link", refuse)
    weights, target = tmp_path / "blob", tmp_path / "models" / "größe" / "model.gguf"
    weights.write_bytes(b"GGUF")
    target.parent.mkdir(parents=True)
    link(weights, target)
    assert target.read_bytes() == b"GGUF"
    assert not target.is_symlink()


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("darwin", {}, "home/Library/Caches/llama.cpp"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/llama.cpp"),
        ("win32", {}, "home/llama.cpp"),
        ("linux", {}, "home/.cache/llama.cpp"),
    ],
)
def test_models_of_llama_cpp_are_looked_for_where_each_system_has_them(
    platform: str,
    variables: dict[str, str],
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LLAMA_CACHE", "LOCALAPPDATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, folder in variables.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    on(monkeypatch, local_models, platform)
    assert tmp_path / wanted in local_models.llama_cpp_folders()


def test_gits_file_for_all_users_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "C:/Program Files/Git/etc/gitconfig")
    monkeypatch.delenv("GIT_CONFIG_NOSYSTEM", raising=False)
    assert git_config.user_files()[0] == Path("C:/Program Files/Git/etc/gitconfig")


def test_a_system_without_poll_writes_until_the_reader_is_found_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        monkeypatch.delattr(select, "poll", raising=False)
        assert not console._is_closed_by_reader(writing)
    finally:
        os.close(writing)


async def test_the_end_of_the_editor_is_noticed_without_signals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows, ``os.kill(pid, 0)`` would end the editor instead of asking for it."""
    ended: list[int] = []

    def refuse(*_: object) -> None:
        raise AssertionError("a signal was sent")

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr("lsp_server.handlers.lifecycle.PARENT_CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr("lsp_server.handlers.lifecycle.psutil.pid_exists", _alive_for(3))
    await asyncio.wait_for(_watch_parent(os.getpid()), 60)
    assert ended == [1]


def _alive_for(n_questions: int):
    left = iter([True] * n_questions)
    return lambda _: next(left, False)


def test_no_module_of_other_systems_is_needed_to_import_the_server() -> None:
    """Modules that Windows lacks are refused, as there."""
    code = (
        "import sys, psutil\n"  # whose own modules differ between systems
        "for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios'):\n"
        "    sys.modules[name] = None\n"
        "import lsp_server.cli.main, lsp_server.server, lsp_server.handlers.table\n"
        "import lsp_server.engine.process.main, lsp_server.engine.process.serving\n"
        "import lsp_server.engine.client\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
