"""``longllama/didMoveCursor`` from the client to the engine."""

import pytest
import pytest_asyncio

from tests.server.wire import Wire


@pytest_asyncio.fixture
async def ready(wire, root):
    await wire.begin(root)
    await wire.indexed()
    return wire


async def test_the_cursor_is_where_the_client_says(ready, root):
    uri = ready.open((root / "new.py").as_uri(), "é = '\U0001f40d'\nx = ")
    place = {"line": 1, "character": 4}
    ready.notify("longllama/didMoveCursor", textDocument={"uri": uri}, position=place)
    await ready.until(lambda: ready.engine.asked)
    (request,) = ready.engine.asked
    assert (request.prefix, request.suffix) == ("é = '\U0001f40d'\nx = ", "")
    assert request.is_ahead


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"textDocument": None, "position": 3},
        {"textDocument": {"uri": 7}, "position": {"line": 0, "character": 0}},
        {"textDocument": {"uri": "file:///nowhere.py"}, "position": {"line": 0, "character": 0}},
        {"textDocument": {"uri": "file:///a%00b"}, "position": {"line": -1, "character": 1e300}},
    ],
)
async def test_what_is_malformed_or_not_open_is_ignored(ready: Wire, root, params):
    ready.notify("longllama/didMoveCursor", **params)
    uri = ready.open((root / "new.py").as_uri(), "x = ")
    place = {"line": 99, "character": 2**40}
    ready.notify("longllama/didMoveCursor", textDocument={"uri": uri}, position=place)
    await ready.until(lambda: ready.engine.asked)
    assert [request.prefix for request in ready.engine.asked] == ["x = "]
