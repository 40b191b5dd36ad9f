"""Real servers in child processes; with a scripted engine, or with the seeded model `tiny`."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.editor import Editor, editing, scripted, tiny
from tests.e2e.http_server import HttpServer, serving
from tests.e2e.http_shop import ANSWERS, write_shop

Start = Callable[..., Awaitable[Editor]]


@pytest.fixture(autouse=True, scope="session")
def sockets() -> Iterator[None]:
    """Engines are shared among the servers of this session, if at all."""
    with tempfile.TemporaryDirectory(prefix="ll-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty workspace folder."""
    folder = tmp_path / "ws"
    folder.mkdir()
    return folder


@pytest.fixture
def many_files(root: Path) -> int:
    """Enough files that something can happen while they are indexed; how many."""
    n_files = 150
    for number in range(n_files):
        blocks = (f"def f{number}_{part}(x):\n" + f"    # {'-' * 60}\n" * 4 for part in range(4))
        (root / f"{number:03}.py").write_text("\n\n".join(blocks))
    return n_files


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """An engine without a model, for whatever does not look at the model's work."""
    return scripted(tmp_path)


@pytest.fixture
def slow_settings(tmp_path: Path) -> dict[str, Any]:
    """The same, which takes 20 ms for each file."""
    return scripted(tmp_path, remember_ms=20)


@pytest.fixture
def model_settings(tmp_path: Path) -> dict[str, Any]:
    """The model for tests, with its memory in a folder of this test."""
    return tiny(tmp_path)


@pytest_asyncio.fixture
async def start(root: Path, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts editors, on the workspace folder if no other is named."""
    async with AsyncExitStack() as stack:

        async def start_one(*roots: Path, **options: Any) -> Editor:
            return await stack.enter_async_context(
                editing(tmp_path, *(roots or (root,)), **options)
            )

        yield start_one


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A workspace folder of a test's own."""
    return write_shop(tmp_path / "ws")


@pytest.fixture(scope="module")
def shared_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("http") / "ws")


@pytest.fixture(scope="module")
def server(shared_shop: Path) -> Iterator[HttpServer]:
    """A server for all tests that change no file."""
    with serving(shared_shop, shared_shop.parent, ANSWERS) as running:
        running.until_ready()
        yield running
