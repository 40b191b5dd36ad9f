"""What settings make of the statistics, in the real server."""

import asyncio

from lsp_server.session import Session
from lsp_server.statistics import owner, writer
from lsp_server.statistics.adaptive import N_NEEDED
from lsp_server.statistics.database import StatisticsFile
from lsp_server.statistics.record import Record, model_hash


def unsure_history(cache):
    """Statistics of a user who types over what is less sure than 50 %."""
    file = StatisticsFile(cache)
    known = {"language": "python", "n_chars": 12, "latency_ms": 80, "is_automatic": True}
    known["model"] = model_hash("auto")
    sure = [Record(**known, confidence=90, outcome="accepted") for _ in range(N_NEEDED)]
    unsure = [Record(**known, confidence=47, outcome="typed_over") for _ in range(50)]
    file.write([*sure, *unsure], [])
    file.close()


def options(cache, **trigger):
    return {
        "memory": {"cacheDir": str(cache)},
        "trigger": {"debounceMs": 0, **trigger},
        "completion": {"ahead": False},
    }


def repository_settings_after(monkeypatch, n_s):
    """Have the session's start take its time where a slow disk has it wait."""
    read = Session._read_repository_settings

    async def read_late(session, roots):
        await asyncio.sleep(n_s)
        await read(session, roots)

    monkeypatch.setattr(Session, "_read_repository_settings", read_late)


async def beginning(wire, root, options):
    """Let the session begin, and return its task once the workspace folders are known."""
    begins = asyncio.create_task(wire.begin(root, options=options))
    await wire.until(lambda: wire.server.session.folders.roots)
    return begins


async def floors(wire, *, kind):
    """Ask at a new place, and return the least confidence that was asked for."""
    uri = wire.open(f"untitled:{len(wire.engine.asked)}", "x = ")
    await wire.ask(
        "textDocument/inlineCompletion",
        textDocument={"uri": uri},
        position={"line": 0, "character": 4},
        context={"triggerKind": kind},
    )
    return wire.engine.asked[-1].min_confidence_floor


async def test_the_threshold_rises_for_typing_alone_and_falls_once_it_is_turned_off(
    wire, root, tmp_path
):
    unsure_history(tmp_path / "cache")
    statistics = wire.server.session.statistics
    await wire.begin(root, options=options(tmp_path / "cache", adaptive=True))
    await wire.indexed()
    while not statistics.min_confidence:
        await asyncio.sleep(0.01)
    assert await floors(wire, kind=2) == 0.5
    assert await floors(wire, kind=1) == 0.0
    off = {"longllama": {"trigger": {"adaptive": False}}}
    wire.notify("workspace/didChangeConfiguration", settings=off)
    while statistics.min_confidence:
        await asyncio.sleep(0.01)
    assert await floors(wire, kind=2) == 0.0


async def test_asked_while_the_session_begins_they_are_those_that_were_kept(
    wire, root, tmp_path, monkeypatch
):
    unsure_history(tmp_path / "cache")
    repository_settings_after(monkeypatch, 0.3)
    begins = await beginning(wire, root, options(tmp_path / "cache"))
    assert (await wire.ask("longllama/statistics"))["total"]["shown"] == N_NEEDED + 50
    assert (await wire.ask("longllama/clearStatistics")) == {"n_removed": N_NEEDED + 50}
    await begins


async def test_asked_of_a_session_that_takes_long_to_begin_there_are_none(
    wire, root, tmp_path, monkeypatch
):
    unsure_history(tmp_path / "cache")
    monkeypatch.setattr(writer, "BEGIN_S", 0.2)
    repository_settings_after(monkeypatch, 2.0)
    begins = await beginning(wire, root, options(tmp_path / "cache"))
    assert (await wire.ask("longllama/statistics"))["total"]["shown"] == 0
    assert not begins.done()
    await begins


async def test_it_is_off_by_default(wire, root, tmp_path):
    unsure_history(tmp_path / "cache")
    await wire.begin(root, options=options(tmp_path / "cache"))
    await wire.indexed()
    assert await floors(wire, kind=2) == 0.0


async def test_it_is_found_anew_from_what_was_counted_since(wire, root, tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "ADAPT_EVERY_S", 0.05)
    statistics = wire.server.session.statistics
    await wire.begin(root, options=options(tmp_path / "cache", adaptive=True))
    await wire.indexed()
    assert await floors(wire, kind=2) == 0.0
    unsure_history(tmp_path / "cache")
    while statistics.min_confidence != 50:
        await asyncio.sleep(0.01)
    await wire.ask("longllama/clearStatistics")
    while statistics.min_confidence:
        await asyncio.sleep(0.01)


async def test_a_request_that_is_cancelled_leaves_the_file_usable(wire, root, tmp_path):
    await wire.begin(root, options=options(tmp_path / "cache"))
    for _ in range(5):
        asking = asyncio.ensure_future(wire.ask("longllama/statistics"))
        await asyncio.sleep(0)
        wire.notify("$/cancelRequest", id=wire.last_id)
        await asyncio.gather(asking, return_exceptions=True)
    assert (await wire.ask("longllama/statistics"))["total"]["shown"] == 0


async def test_hostile_notifications_count_nothing(wire, root, tmp_path):
    await wire.begin(root, options=options(tmp_path / "cache"))
    for method in ("didShowSuggestion", "didPartiallyAcceptSuggestion", "didDismissSuggestion"):
        for params in ({}, {"id": None}, {"id": []}, {"id": "s999", "acceptedLength": -4}):
            wire.notify(f"longllama/{method}", **params)
    for arguments in ([], [None], [[]], ["s999", "x"], ["s999", 10**30], [{"id": 1}]):
        await wire.command("longllama.didAccept", *arguments)
    for days in (-1, 1e300, "x", True, None, []):
        found = await wire.ask("longllama/statistics", days=days)
        assert found["total"]["shown"] == 0
