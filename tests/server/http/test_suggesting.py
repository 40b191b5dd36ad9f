"""Requests over HTTP at the session, with an engine that tests hold back."""

import asyncio

import pytest

from longllama_code.protocol import CompletionResult, Timings
from lsp_server.http.asked import Asked
from lsp_server.http.errors import Refused
from lsp_server.http.files import MAX_KNOWN
from lsp_server.http.suggesting import Suggesting
from lsp_server.suggestions.cursor_context import Limits
from tests.deadline import DEADLINE_S


def asked(before="x = ", *, is_automatic=False, **fields):
    return Asked(before=before, after="\n", is_automatic=is_automatic, **fields)


async def until(is_so):
    async def wait():
        while not is_so():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_a_text_that_takes_long_to_read_is_asked_for_until_it_is_read(wire, root):
    await wire.begin(root)
    await wire.indexed()
    late = [CompletionResult("", "deadline", Timings(), empty_reason="deadline") for _ in range(2)]
    complete = wire.engine.complete

    async def slow(request, tell):
        return late.pop() if late else await complete(request, tell)

    wire.engine.complete = slow
    answered = await Suggesting(wire.server.session).answer(asked())
    assert answered.texts[0].text == "text()"
    assert late == []


async def test_the_limits_of_a_request_hold_beside_the_settings(wire, root):
    await wire.begin(root, options={"completion": {"maxTokens": 20}, "trigger": {"debounceMs": 0}})
    await wire.indexed()
    door = Suggesting(wire.server.session)
    await door.answer(asked(limits=Limits(7, 2, 250)))
    await door.answer(asked("y = ", limits=Limits(1_000, 99)))
    await door.answer(asked("z = ", is_automatic=True, limits=Limits(None, 3)))
    found = [(each.max_tokens, each.n_candidates, each.writing_ms) for each in wire.engine.asked]
    assert found[:3] == [(7, 2, 250), (20, 3, None), (20, 1, None)]


async def test_an_answer_with_other_limits_is_not_used_again(wire, root):
    await wire.begin(root)
    await wire.indexed()
    door = Suggesting(wire.server.session)
    first = await door.answer(asked(is_automatic=True, limits=Limits(5)))
    same = await door.answer(asked("x = te", is_automatic=True, limits=Limits(5)))
    other = await door.answer(asked("x = tex", is_automatic=True, limits=Limits(6)))
    assert (first.texts[0].text, first.is_known) == ("text()", False)
    assert (same.texts[0].text, same.is_known) == ("xt()", True)
    assert not other.is_known


async def test_a_request_that_a_newer_one_ends_may_be_repeated(wire, root):
    await wire.begin(root)
    await wire.indexed()
    door = Suggesting(wire.server.session)
    wire.engine.may_answer.clear()
    earlier = asyncio.ensure_future(door.answer(asked("a = ", is_automatic=True)))
    await until(lambda: wire.engine.asked)
    later = asyncio.ensure_future(door.answer(asked("b = ", is_automatic=True)))
    with pytest.raises(Refused, match="superseded") as refused:
        await earlier
    assert refused.value.status == 503
    wire.engine.may_answer.set()
    assert (await later).texts[0].text == "text()"


async def test_a_call_that_is_cancelled_ends_the_engines_work(wire, root):
    await wire.begin(root)
    await wire.indexed()
    wire.engine.may_answer.clear()
    call = asyncio.ensure_future(Suggesting(wire.server.session).answer(asked()))
    await until(lambda: wire.engine.asked)
    call.cancel()
    await until(lambda: wire.engine.n_cancelled == 1)


async def test_what_is_read_ahead_is_asked_of_the_engine_by_itself(wire, root):
    await wire.begin(root)
    await wire.indexed()
    answered = await Suggesting(wire.server.session).read_ahead(asked())
    assert answered.texts[0].text == ""
    await until(lambda: [request.is_ahead for request in wire.engine.asked] == [True])


async def test_what_is_turned_off_has_a_reason_and_no_text(wire, root):
    await wire.begin(root, options={"enable": False})
    answered = await Suggesting(wire.server.session).answer(asked())
    assert (answered.texts[0].text, answered.reason) == ("", "disabled")


async def test_files_that_were_asked_about_count_as_open_up_to_a_limit(wire, root):
    await wire.begin(root)
    await wire.indexed()
    door, opened = Suggesting(wire.server.session), wire.server.session.open_files
    for number in range(MAX_KNOWN + 4):
        await door.answer(asked(file=f"f{number}.py"))
    names = [path.name for path in opened.paths()]
    assert names == [f"f{number}.py" for number in range(4, MAX_KNOWN + 4)]


async def test_a_file_that_the_language_client_has_open_is_its_document(wire, root):
    await wire.begin(root)
    lines = [f"def function_{number}(left, right): ...\r\n" for number in range(40)]
    uri = wire.open((root / "lib.py").as_uri(), "".join(lines))
    await wire.indexed()
    door = Suggesting(wire.server.session)
    before = "".join(lines[10:20]).replace("\r\n", "\n") + "x = "
    after = "\n" + "".join(lines[20:30]).replace("\r\n", "\n")
    for file in ("", "lib.py"):
        await door.answer(Asked(before=before, after=after, file=file, is_automatic=False))
        request = wire.engine.asked[-1]
        assert (request.path, request.prefix.count("\n")) == ("lib.py", 20)
        assert request.suffix.count("\n") == 21
    assert [*wire.server.session.open_files.paths()] == [root / "lib.py"]
    assert uri in wire.server.session.documents
