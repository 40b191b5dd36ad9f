"""Copilot's dialect over the wire: what its clients ask for before and beside suggestions."""

from itertools import pairwise

import pytest
import pytest_asyncio

from longllama_code.protocol import CompletionResult, Timings
from lsp_server import __version__
from tests.server.wire import RpcError, StandInClient

TEXT = "é = '\U0001f40d'\n  x = "
END = {"line": 1, "character": 6}
INTRODUCTION = {
    "editorInfo": {"name": "Neovim", "version": "0.11.4"},
    "editorPluginInfo": {"name": "copilot.lua", "version": "1.515.0"},
    "networkProxy": {"host": "127.0.0.1", "port": 1},
}
SETTINGS = {"trigger": {"debounceMs": 0}, "model": {"path": "tiny"}}
UTF8_FIRST = {
    "general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]},
    "textDocument": {"inlineCompletion": {}},
}


async def three(_client, request, _tell):
    """Stands in for the engine: three candidates to a key, one to typing."""
    others = ["two()", "three()"][: request.n_candidates - 1]
    return CompletionResult("text()", "line", Timings(1.0, 2.0, 0, 3, 4), [], alternatives=others)


@pytest_asyncio.fixture
async def copilot(wire, root, monkeypatch):
    """A client that introduces itself as Copilot's do, and prefers another encoding."""
    monkeypatch.setattr(StandInClient, "complete", three)
    options = {**INTRODUCTION, "longllama": SETTINGS}
    wire.initialized_with = await wire.begin(root, can=UTF8_FIRST, options=options)
    await wire.indexed()
    return wire


def doc(wire, root, text=TEXT, **position):
    """A document, as the old dialect names one."""
    uri = wire.open((root / "new.py").as_uri(), text)
    at = {"uri": uri, "version": 1, "position": position or END, "tabSize": 2}
    return {"doc": at, "textDocument": {"uri": uri}, "position": at["position"], "_": True}


async def test_its_introduction_is_no_setting_and_its_encoding_is_utf_16(copilot):
    assert copilot.initialized_with["capabilities"]["positionEncoding"] == "utf-16"
    status = await copilot.ask("longllama/status")
    assert status["ignored_settings"] == []
    assert copilot.messages == []


async def test_the_encoding_of_others_is_theirs(wire, root):
    result = await wire.begin(root, can=UTF8_FIRST)
    assert result["capabilities"]["positionEncoding"] == "utf-8"


async def test_whoever_asks_is_signed_in(copilot):
    status = await copilot.ask("checkStatus", options={"localChecksOnly": True})
    assert status["status"] == "OK"
    assert status["user"]
    for method in ("signIn", "signInInitiate"):
        assert await copilot.ask(method) == {"status": "AlreadySignedIn", "user": status["user"]}
    assert await copilot.ask("signInConfirm", userCode="1") == status
    assert await copilot.ask("signOut") == {"status": "NotSignedIn"}
    assert await copilot.ask_as_is("checkStatus", None) == status
    assert await copilot.ask("getVersion") == {"version": __version__}


async def test_the_model_of_the_settings_is_the_one_to_choose(copilot):
    (model,) = await copilot.ask("copilot/models")
    assert model == {"id": "tiny", "modelName": "tiny", "scopes": ["completion"], "default": True}


async def test_a_completion_has_the_line_up_to_the_cursor(copilot, root):
    asked = doc(copilot, root)
    (found,) = (await copilot.ask("getCompletions", **asked))["completions"]
    assert found["text"] == "  x = text()"
    assert found["displayText"] == "text()"
    assert found["range"] == {"start": {"line": 1, "character": 0}, "end": END}
    assert found["position"] == END
    assert found["docVersion"] == 1


async def test_characters_count_as_utf_16(copilot, root):
    asked = doc(copilot, root, "x = ('é\U0001f40d', ", line=0, character=12)
    (found,) = (await copilot.ask("getCompletions", **asked))["completions"]
    assert found["text"] == "x = ('é\U0001f40d', text()"
    assert found["range"]["end"] == {"line": 0, "character": 12}


async def test_cycling_has_all_candidates_each_with_an_id(copilot, root):
    asked = doc(copilot, root)
    found = (await copilot.ask("getCompletionsCycling", **asked))["completions"]
    assert [one["displayText"] for one in found] == ["text()", "two()", "three()"]
    first, *others = [one["uuid"] for one in found]
    assert others == [f"{first}.1", f"{first}.2"]


async def test_a_panel_gets_all_candidates_and_hears_of_the_end(copilot, root):
    asked = doc(copilot, root)
    answer = await copilot.ask("getPanelCompletions", **asked, panelId="1:copilot:///new.py")
    assert answer == {"solutionCountTarget": 3}
    solutions = copilot.said("PanelSolution")
    assert [one["completionText"] for one in solutions] == ["text()", "two()", "three()"]
    assert len({one["solutionId"] for one in solutions}) == 3
    scores = [one["score"] for one in solutions]
    assert scores == sorted(scores, reverse=True)
    assert all(one["range"] == {"start": END, "end": END} for one in solutions)
    (done,) = copilot.said("PanelSolutionsDone")
    assert done == {"panelId": "1:copilot:///new.py", "status": "OK"}
    assert {one["panelId"] for one in solutions} == {done["panelId"]}


async def test_ghost_text_begins_with_the_line_too(copilot, root):
    uri = copilot.open((root / "new.py").as_uri(), TEXT)
    (item,) = (await copilot.inline(uri, 1, 6, kind=2))["items"]
    assert item["insertText"] == "  x = text()"
    assert item["range"] == {"start": {"line": 1, "character": 0}, "end": END}


async def test_ghost_text_of_others_begins_at_the_cursor(wire, root):
    await wire.begin(root)
    await wire.indexed()
    uri = wire.open((root / "new.py").as_uri(), TEXT)
    (item,) = (await wire.inline(uri, 1, 6, kind=2))["items"]
    assert item["insertText"] == "text()"
    assert item["range"] == {"start": END, "end": END}


@pytest.mark.parametrize(
    "method", ["getCompletions", "getCompletionsCycling", "getPanelCompletions"]
)
@pytest.mark.parametrize(
    "params",
    [
        None,
        {},
        [],
        {"doc": None},
        {"doc": {"uri": 3, "position": END}},
        {"doc": {"uri": "file:///a.py", "position": {"line": 1e300, "character": 0}}},
    ],
)
async def test_what_names_no_place_is_refused(copilot, method, params):
    with pytest.raises(RpcError) as refused:
        await copilot.ask_as_is(method, params)
    assert refused.value.code == -32602
    assert "doc.uri" in refused.value.message


async def test_a_document_that_is_not_open_has_no_completions(copilot):
    asked = {"doc": {"uri": "file:///nowhere.py", "position": {"line": -1, "character": 2**40}}}
    assert await copilot.ask("getCompletions", **asked) == {"completions": []}
    assert await copilot.ask("getPanelCompletions", **asked) == {"solutionCountTarget": 0}
    assert (await copilot.ask("longllama/status"))["last_reason"] == "not_open"


async def test_its_clients_hear_of_the_status_once_for_each_news(copilot):
    told = copilot.said("didChangeStatus")
    assert told[-1] == {"kind": "Normal", "busy": False, "message": told[-1]["message"]}
    await copilot.command("longllama.toggle")
    assert copilot.said("didChangeStatus")[-1]["kind"] == "Inactive"
    news = [tuple(sorted(one.items())) for one in copilot.said("didChangeStatus")]
    assert all(former != latter for former, latter in pairwise(news))


async def test_others_hear_nothing_in_its_words(wire, root):
    await wire.begin(root)
    await wire.indexed()
    assert wire.said("didChangeStatus") == []
