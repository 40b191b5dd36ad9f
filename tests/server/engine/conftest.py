"""Shared engines over each transport, also the one that is another system's."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsp_server.engine.shared_unix import has_unix_sockets
from tests.paths import ROOT
from tests.server.engine.light_engine import LOOPBACK_FOLDER


@pytest.fixture(params=["unix", "loopback"])
def folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this test's engines: of a short path, as sockets need it."""
    if request.param == "unix" and not has_unix_sockets():
        pytest.skip("this system has no Unix sockets")
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as base:
        folder = Path(base) / "longllama"
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        if request.param == "loopback":
            monkeypatch.setenv(LOOPBACK_FOLDER, str(folder))
        yield folder
        for address in addresses(folder):
            address.unlink(missing_ok=True)  # what still listens there ends by this


def addresses(folder: Path) -> list[Path]:
    """Addresses of the engines of a folder."""
    return [path for path in folder.glob("*") if path.suffix in (".sock", ".port")]
