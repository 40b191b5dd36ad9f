"""Checks of what keeps the server from working, and their remedies."""

import socket
import sys

import pytest

from lsp_server.settings.layers import resolve
from lsp_server.status import diagnosis
from lsp_server.status.diagnosis import (
    Check,
    as_lines,
    check_cache,
    check_model,
    check_port,
    check_python,
    check_root,
    check_torch,
    check_watches,
    worst,
)


def test_the_interpreter(monkeypatch):
    assert check_python().state == "ok"
    monkeypatch.setattr(diagnosis, "OLDEST_PYTHON", (99, 0))
    assert check_python().remedy == "install Python 3.10 or newer."


def test_torch_and_the_model():
    good = {"version": "2.13.0", "device": "cpu", "threads": 2}
    assert check_torch(good) == Check("torch", "ok", "2.13.0 on cpu, 2 threads")
    assert check_torch({"error": "ImportError: no"}).state == "error"
    found = check_model({"name": "mini", "error": "run `longllama pull mini`"})
    assert (found.state, found.found) == ("error", "mini: run `longllama pull mini`")
    built = check_model({"name": "tiny", "folder": None, "bytes": 0})
    assert built.found == "tiny: built in memory, 0 MB"


def test_a_cache_that_can_be_written(tmp_path):
    (found,) = check_cache(tmp_path / "new" / "cache")
    assert found.state == "ok"
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX")
def test_a_store_that_others_can_read(tmp_path):
    store = tmp_path / "memory" / "abc"
    store.mkdir(parents=True)
    store.chmod(0o755)
    _, found = check_cache(tmp_path)
    assert (found.state, found.remedy) == ("warning", f"chmod 700 {store}")
    store.chmod(0o700)
    assert [check.state for check in check_cache(tmp_path)] == ["ok"]


def test_a_cache_without_room_or_access(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis, "MIN_FREE_BYTES", 1 << 80)
    (found,) = check_cache(tmp_path)
    assert (found.state, "maxStoreBytes" in found.remedy) == ("warning", True)

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(diagnosis.tempfile, "TemporaryFile", refuse)
    (found,) = check_cache(tmp_path)
    assert (found.state, "memory.cacheDir" in found.remedy) == ("error", True)


def test_watches(tmp_path):
    (tmp_path / "max_user_watches").write_text("8192\n")
    (tmp_path / "max_user_instances").write_text("128\n")
    assert check_watches(100, tmp_path).state == "ok"
    assert check_watches(None, tmp_path).state == "ok"
    many = check_watches(200_000, tmp_path)
    assert many.state == "warning"
    assert many.remedy == "sysctl fs.inotify.max_user_watches=800000"
    assert check_watches(200_000, tmp_path / "of another system").state == "ok"


def test_a_port():
    assert check_port("127.0.0.1", 0).state == "ok"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = check_port("127.0.0.1", taken.getsockname()[1])
    assert (found.state, "--tcp" in found.remedy) == ("warning", True)


def test_folders(tmp_path):
    assert check_root(tmp_path).state == "ok"
    assert check_root(tmp_path / "gone").state == "error"


def test_a_child_that_fails_is_an_error_of_torch_and_model(monkeypatch):
    monkeypatch.setattr(diagnosis, "python_command", lambda _: [sys.executable, "-c", "exit(3)"])
    settings, _ = resolve([])
    checks = {check.name: check for check in diagnosis.diagnose(settings, [], None)}
    assert checks["torch"].state == checks["model"].state == "error"
    assert "probe of the engine's process failed" in checks["torch"].found


def test_for_people():
    checks = [Check("a", "ok", "fine"), Check("b", "warning", "odd", "mend it.")]
    assert list(as_lines(checks)) == [
        "ok      a              fine",
        "warning b              odd",
        "                       → mend it.",
    ]
    assert worst(checks) == "warning"
    assert worst([*checks, Check("c", "error", "bad")]) == "error"
    assert worst([]) == "ok"
