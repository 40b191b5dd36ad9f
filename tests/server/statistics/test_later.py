"""Accepted texts are looked for later, in the live text: by the real server, sooner than usual."""

import asyncio

import pytest

from lsp_server.statistics import later
from lsp_server.statistics.database import StatisticsFile

SUGGESTED = "text()"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def looks(monkeypatch):
    """Sets the seconds after which is looked."""

    def after(first_s, second_s):
        monkeypatch.setattr(later, "LOOKS", {"after_30_s": first_s, "after_5_min": second_s})

    return after


class Accepting:
    """An editor with one document, in which a suggestion was accepted."""

    def __init__(self, wire):
        self.wire, self.uri, self.text, self.version = wire, "untitled:a", "x = ", 1

    async def accept(self, root, cache):
        options = {
            "memory": {"cacheDir": str(cache)},
            "trigger": {"debounceMs": 0},
            "statistics": {"enable": True},
        }
        await self.wire.begin(root, options=options)
        await self.wire.indexed()
        self.wire.open(self.uri, self.text)
        answer = await self.wire.ask(
            "textDocument/inlineCompletion",
            textDocument={"uri": self.uri},
            position={"line": 0, "character": 4},
            context={"triggerKind": 2},
        )
        (item,) = answer["items"]
        assert item["insertText"] == SUGGESTED
        self.write(self.text + SUGGESTED)
        await self.wire.command("longllama.didAccept", *item["command"]["arguments"])

    def write(self, text):
        self.text, self.version = text, self.version + 1
        self.wire.notify(
            "textDocument/didChange",
            textDocument={"uri": self.uri, "version": self.version},
            contentChanges=[{"text": text}],
        )

    async def found(self, look, value):
        """Wait until the statistics have a value, as another window sees them."""
        while not (total := (await self.wire.ask("longllama/statistics"))["total"])[look][value]:
            assert sum(total[look].values()) == 0
            await asyncio.sleep(0.02)
        assert sum(total[look].values()) == 1

    def look_now(self):
        """Let the time of all looks that are left have come."""
        looks = self.wire.server.session.statistics._later
        for _, timer in [*looks._pending.values()]:
            timer._run()
            timer.cancel()


@pytest.fixture
def editor(wire):
    return Accepting(wire)


async def test_what_stays_is_there_though_it_is_edited_and_moved(editor, root, cache, looks):
    looks(0.2, 0.6)
    await editor.accept(root, cache)
    editor.write("import os\n\nx = test()\ny = 1\n")
    await editor.found("after_30_s", "there")
    await editor.found("after_5_min", "there")


async def test_what_is_removed_after_the_first_look_is_gone_at_the_second(
    editor, root, cache, looks
):
    looks(0.2, 3_000.0)
    await editor.accept(root, cache)
    await editor.found("after_30_s", "there")
    editor.write("x = 17\n")
    editor.look_now()
    await editor.found("after_5_min", "gone")


async def test_of_a_closed_document_it_is_not_known(editor, root, cache):
    await editor.accept(root, cache)
    editor.wire.notify("textDocument/didClose", textDocument={"uri": editor.uri})
    editor.look_now()
    await editor.found("after_30_s", "unknown")
    await editor.found("after_5_min", "unknown")


async def test_what_the_server_does_not_live_to_see_is_not_known_and_kept(
    editor, root, cache, looks
):
    looks(0.1, 3_000.0)
    await editor.accept(root, cache)
    await editor.found("after_30_s", "there")
    await editor.wire.ask("shutdown")
    file = StatisticsFile(cache)
    (record,) = file.records()
    file.close()
    assert (record.outcome, record.after_30_s, record.after_5_min) == (
        "accepted",
        "there",
        "unknown",
    )
    assert record.n_accepted == len(SUGGESTED)
