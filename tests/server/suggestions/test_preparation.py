"""What the engine reads of a document before the first request in it."""

import pytest

from lsp_server.engine.client import EngineError, EngineGone, EngineState
from lsp_server.settings.layers import resolve
from lsp_server.suggestions.preparation import prepare
from tests.server.suggestions.cursors import cursor

SETTINGS, _ = resolve([])


async def test_a_file_that_was_opened_is_read_before_somebody_asks(engine):
    await prepare(cursor("import ship\n"), SETTINGS, engine)
    (request,) = engine.prepared
    assert (request.path, request.prefix, request.is_ahead) == ("a.py", "import ship\n", True)
    assert request.definition_tokens == SETTINGS.completion.definition_tokens
    assert not engine.asked.is_set()


@pytest.mark.parametrize("error", [EngineGone("it died"), EngineError("it failed")])
async def test_that_it_could_not_be_read_is_no_failure(engine, error):
    engine.error = error
    await prepare(cursor("x = "), SETTINGS, engine)
    assert len(engine.prepared) == 1


async def test_files_that_are_refused_are_not_read(engine):
    none, _ = resolve([{"completion": {"ahead": False}}])
    off, _ = resolve([{"enableLanguages": {"python": False}}])
    await prepare(cursor("x = "), none, engine)
    await prepare(cursor("x = "), off, engine)
    await prepare(cursor("x = ", path=".env"), SETTINGS, engine)
    await prepare(cursor("x = "), SETTINGS, None)
    engine.state = EngineState.LOADING
    await prepare(cursor("x = "), SETTINGS, engine)
    assert engine.prepared == []
