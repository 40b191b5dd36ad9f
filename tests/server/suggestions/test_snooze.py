"""Snoozing: typing requests nothing for some minutes, and the rest goes on."""

import asyncio

import pytest

from lsp_server.suggestions.snooze import MAX_MINUTES, Snooze


async def ask(wire, uri, kind):
    answer = await wire.ask(
        "textDocument/inlineCompletion",
        textDocument={"uri": uri},
        position={"line": 0, "character": 4},
        context={"triggerKind": kind},
    )
    return len(answer["items"])


TYPING, KEY = 2, 1


async def test_typing_gets_nothing_with_a_reason_and_a_key_gets_a_suggestion(wire, root):
    await wire.begin(root)
    await wire.indexed()
    uri = wire.open("untitled:a", "x = ")
    assert await wire.command("longllama.snooze", 15) == 15
    assert await ask(wire, uri, TYPING) == 0
    status = await wire.ask("longllama/status")
    assert (status["last_reason"], status["snooze_minutes_left"]) == ("snoozed", 15)
    assert status["message"].endswith("; snoozed, 15 min left")
    assert (await wire.ask("longllama/explain"))["reason"] == "snoozed"
    assert await ask(wire, uri, KEY) == 1
    assert await wire.command("longllama.snooze", 0) is None
    assert await ask(wire, uri, TYPING) == 1
    status = await wire.ask("longllama/status")
    assert status["snooze_minutes_left"] is None
    assert "snoozed" not in status["message"]


async def test_what_typing_waits_for_is_answered_at_once(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    uri = wire.open("untitled:a", "x = ")
    request = asyncio.ensure_future(ask(wire, uri, TYPING))
    await wire.until(lambda: wire.engine.asked)
    await wire.command("longllama.snooze", 5)
    assert await request == 0
    assert (await wire.ask("longllama/explain"))["reason"] == "snoozed"


async def test_indexing_goes_on_and_a_resting_cursor_costs_nothing(wire, root):
    await wire.begin(root)
    await wire.indexed()
    await wire.command("longllama.snooze", 60)
    path = root / "later.py"
    path.write_text("y = 1\n")
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": path.as_uri(), "type": 1}])
    await wire.until(lambda: "later.py" in wire.engine.texts)
    uri = wire.open("untitled:a", "x = ")
    n_asked = len(wire.engine.asked)
    wire.notify(
        "longllama/didMoveCursor",
        textDocument={"uri": uri},
        position={"line": 0, "character": 2},
    )
    await wire.indexed()
    await asyncio.sleep(0.4)
    assert len(wire.engine.asked) == n_asked


async def test_it_is_counted_down_in_the_status_and_ends_by_itself(wire, root):
    await wire.begin(root)
    await wire.indexed()
    uri = wire.open("untitled:a", "x = ")
    await wire.command("longllama.snooze", 1 + 0.5 / 60)
    await wire.until(lambda: {2, 1} <= {one["snooze_minutes_left"] for one in wire.statuses})
    assert wire.statuses[-1]["snooze_minutes_left"] == 1
    await wire.command("longllama.snooze", 0.3 / 60)
    await wire.until(lambda: wire.statuses[-1]["snooze_minutes_left"] is None)
    assert await ask(wire, uri, TYPING) == 1


@pytest.mark.parametrize("minutes", [None, "15", -1, True, [], {}])
async def test_what_is_no_number_of_minutes_changes_nothing_and_says_so(wire, root, minutes):
    await wire.begin(root)
    await wire.command("longllama.snooze", 15)
    assert await wire.command("longllama.snooze", minutes) == 15
    await wire.until(lambda: any("number of minutes" in message for message in wire.messages))


async def test_it_has_a_longest_time_and_starts_anew_from_now():
    told = []
    snooze = Snooze(lambda: told.append(snooze.minutes_left))
    snooze.start(10**9)
    assert snooze.minutes_left == MAX_MINUTES
    snooze.start(5)
    assert (snooze.minutes_left, snooze.is_on) == (5, True)
    snooze.end()
    assert (snooze.minutes_left, snooze.is_on) == (None, False)
    assert told == [MAX_MINUTES, 5]
