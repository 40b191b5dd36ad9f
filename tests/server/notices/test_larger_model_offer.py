"""The offer of the larger model: made once, and what follows from the answer."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from lsprotocol import types

from lsp_server.engine.stdio import connect_stdio
from lsp_server.methods import CHOOSE_MODEL
from lsp_server.models import larger_model
from lsp_server.models.larger_model import LARGER, MIN_ANSWERS, claim_offer
from lsp_server.notices import larger_model_offer as feature
from lsp_server.status import diagnosis
from tests.deadline import DEADLINE_S
from tests.e2e.editor import ANSWERS, Editor, capabilities, is_running
from tests.paths import ROOT

CODER = {"model": {"path": "coder"}}
CAN = {
    "textDocument": {"inlineCompletion": {}},
    "window": {"showMessage": {}, "workDoneProgress": True},
}
QUESTION = "window/showMessageRequest"
PULL_DEADLINE_S = 4 * DEADLINE_S
"""A process that imports torch, and one pip after another, on a machine that is busy."""


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache folder for this test; free memory counts as unknown, and the quiet time is short.

    The machine counts as fast enough, whatever else it does.
    """
    folder = tmp_path / "cache"
    monkeypatch.setenv("LONGLLAMA_CACHE", str(folder))
    monkeypatch.setattr(feature, "available_bytes", lambda: None)
    monkeypatch.setattr(feature, "QUIET_S", 0.01)
    monkeypatch.setattr(larger_model, "MAX_SUGGESTION_MS", 600_000)
    return folder


async def begin(wire, root, **answers):
    """Complete the handshake as a client that gives these answers."""
    wire.answers.update(answers)
    options = {**CODER, "trigger": {"debounceMs": 0}, "completion": {"ahead": False}}
    await wire.begin(root, can=CAN, options=options)
    await wire.indexed()


async def type_on(wire, n_answers=MIN_ANSWERS, kind=2):
    """Request suggestions."""
    uri = wire.open("untitled:a", "x = ")
    for _ in range(n_answers):
        await wire.inline(uri, 0, 4, kind)


async def settle(wire):
    """Wait for the work that the last suggestion started."""
    await asyncio.sleep(10 * feature.QUIET_S)
    if wire.server.larger_model_offer._task is not None:
        await asyncio.wait([wire.server.larger_model_offer._task])


async def test_it_is_offered_once_with_what_it_brings_and_costs(wire, root, cache):
    await begin(wire, root)
    await type_on(wire, MIN_ANSWERS - 1)
    await settle(wire)
    assert wire.said(QUESTION) == []
    await type_on(wire, 2 * MIN_ANSWERS)
    await settle(wire)
    (question,) = wire.said(QUESTION)
    assert [action["title"] for action in question["actions"]] == ["Use coder-1.5b", "Not now"]
    for part in ("ms", "CrossCodeEval", "GB to fetch", "of memory"):
        assert part in question["message"]
    assert wire.messages == []


@pytest.mark.parametrize("answer", [None, {"title": "Not now"}])
async def test_who_was_asked_is_not_asked_by_the_next_server(wire, root, cache, answer):
    cache.mkdir()
    (cache / f"{LARGER}.offered").write_bytes(b"\0damaged")
    await begin(wire, root, **{QUESTION: answer})
    await type_on(wire)
    await settle(wire)
    assert wire.said(QUESTION) == []


async def test_not_now_fetches_nothing(wire, root, cache, pulls):
    pulls(f"pathlib.Path({str(root / 'pulled')!r}).touch()")
    await begin(wire, root, **{QUESTION: {"title": "Not now"}})
    await type_on(wire)
    await settle(wire)
    assert len(wire.said(QUESTION)) == 1
    assert not (root / "pulled").exists()
    assert not claim_offer(cache)


async def test_requests_by_hand_are_not_timed(wire, root, cache):
    await begin(wire, root)
    await type_on(wire, kind=1)
    await settle(wire)
    assert wire.said(QUESTION) == []


async def test_what_is_prepared_ahead_is_not_timed_as_nobody_waits_for_it(wire, root, cache):
    await wire.begin(root, can=CAN, options={**CODER, "trigger": {"debounceMs": 0}})
    await wire.indexed()
    await type_on(wire, 1)
    await wire.until(lambda: len(wire.engine.asked) == 2)
    await asyncio.sleep(0)
    assert wire.server.session.suggester.times.measured.n_answers == 1


async def test_a_request_that_the_next_key_ends_is_timed_where_it_was_slow(
    wire, root, cache, monkeypatch
):
    monkeypatch.setattr(larger_model, "MAX_SUGGESTION_MS", 0)
    await begin(wire, root)
    wire.engine.may_answer.clear()
    uri = wire.open("untitled:a", "x = ")
    first = asyncio.ensure_future(wire.inline(uri, 0, 4, 2))
    await wire.until(lambda: wire.engine.asked)
    second = asyncio.ensure_future(wire.inline(uri, 0, 3, 2))
    assert (await first)["items"] == []
    await wire.until(lambda: wire.engine.n_cancelled)
    assert wire.server.session.suggester.times.measured.n_answers == 1
    wire.engine.may_answer.set()
    assert (await second)["items"]


async def test_a_client_without_buttons_is_not_asked_and_another_may_be(wire, root, cache):
    options = {**CODER, "trigger": {"debounceMs": 0}}
    await wire.begin(root, options=options)
    await wire.indexed()
    await type_on(wire)
    await settle(wire)
    assert wire.said(QUESTION) == []
    assert claim_offer(cache)


async def test_it_is_fetched_beside_other_work_with_a_bar_and_then_chosen(
    wire, root, cache, pulls, tmp_path
):
    go_on = tmp_path / "go-on"
    pulls(f"""
print("  7 % download 1 of 2 MB", sys.argv[1:], flush=True)
while not pathlib.Path({str(go_on)!r}).exists():
    time.sleep(0.01)
""")
    await begin(wire, root, **{QUESTION: {"title": feature.USE}, CHOOSE_MODEL: True})
    await type_on(wire)
    await wire.until(lambda: any("7" in str(value) for value in values(wire)))
    uri = wire.open("untitled:b", "y = ")
    assert (await wire.inline(uri, 0, 4))["items"]  # the present model goes on
    go_on.touch()
    await settle(wire)
    begun, report, *_, end = values(wire)
    assert (begun["kind"], begun["title"], begun["cancellable"]) == (
        "begin",
        "Fetching coder-1.5b",
        True,
    )
    assert report["message"] == "download 1 of 2 MB ['pull', 'coder-1.5b']"
    assert (report["percentage"], end["kind"]) == (7, "end")
    assert wire.said(CHOOSE_MODEL) == [{"model": LARGER}]
    assert wire.messages == []


def values(wire):
    """Return the values of all ``$/progress``."""
    return [params["value"] for params in wire.said("$/progress")]


async def test_a_client_that_cannot_choose_is_told_what_to_set(wire, root, cache, pulls):
    pulls("pass")
    await begin(wire, root, **{QUESTION: {"title": feature.USE}})
    await type_on(wire)
    await settle(wire)
    (message,) = wire.messages
    assert 'set longllama.model.path to "coder-1.5b"' in message


async def test_cancelling_the_bar_stops_the_pull_and_says_how_to_go_on(wire, root, cache, pulls):
    pulls("print('  7 % download', flush=True); time.sleep(60)")
    await begin(wire, root, **{QUESTION: {"title": feature.USE}})
    await type_on(wire)
    await wire.until(lambda: len(values(wire)) > 1)
    (token,) = {params["token"] for params in wire.said("$/progress")}
    wire.notify("window/workDoneProgress/cancel", token=token)
    await settle(wire)
    (message,) = wire.messages
    assert "longllama pull coder-1.5b" in message
    assert values(wire)[-1]["kind"] == "end"
    assert wire.said(CHOOSE_MODEL) == []


async def test_the_end_of_the_server_ends_the_pull(wire, root, cache, pulls):
    pulls("print(f'  7 % {__import__(\"os\").getpid()}', flush=True); time.sleep(60)")
    await begin(wire, root, **{QUESTION: {"title": feature.USE}})
    await type_on(wire)
    await wire.until(lambda: len(values(wire)) > 1)
    pid = int(values(wire)[1]["message"])
    await wire.server.close()
    assert not is_running(pid)


# What `diagnose` says.


async def test_a_server_that_runs_says_what_it_measured(wire, root, cache, monkeypatch):
    monkeypatch.setattr(diagnosis, "_probe", lambda _: {"torch": {"error": ""}, "model": BUILT})
    monkeypatch.setattr(diagnosis, "available_bytes", lambda: None)
    await begin(wire, root)
    assert "not measured yet" in await line(wire)
    await type_on(wire)
    assert "fast enough" in await line(wire)


BUILT = {"name": "tiny", "folder": None, "bytes": 0}


async def line(wire):
    found = await wire.ask("longllama/diagnose")
    (check,) = [check for check in found["checks"] if check["name"] == "larger model"]
    assert check["state"] == "ok"
    return check["found"]


# The real server over stdio, and the real `longllama pull`.


class AskedEditor(Editor):
    """An editor with buttons; the user presses one."""

    pressed = feature.USE

    def _listen(self):
        super()._listen()
        self.questions = []

        @self.feature(QUESTION)
        def ask(params):
            self.questions.append(params.message)
            self._news.set()
            return types.MessageActionItem(self.pressed)

    async def start_offering(self, tmp_path, root, cache):
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"answers": ANSWERS}))
        program = Path(__file__).with_name("offering_server.py")
        env = {"LONGLLAMA_CACHE": str(cache), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
        path = {"PYTHONPATH": str(ROOT)}
        self.process = await connect_stdio(
            self,
            *(sys.executable, str(program), str(script)),
            stderr=self._log,
            env={**os.environ, **env, **path},
        )
        can = capabilities(progress=True)
        can.window.show_message = types.ShowMessageRequestClientCapabilities()
        chosen = {
            **CODER,
            "engine": {"shared": False},
            "trigger": {"debounceMs": 0},
            "completion": {"ahead": False},
        }
        await self.shake_hands(root, settings=chosen, can=can)
        await self.indexed()

    async def said(self):
        """Wait for a message, for longer than other things may take."""
        while not self.messages:
            await asyncio.sleep(0.05)

    async def type_on(self):
        uri = self.open("untitled:a", "x = ")
        for _ in range(MIN_ANSWERS):
            assert await self.suggestion(uri, 0, 4, automatic=True)


async def test_a_pull_that_cannot_reach_anything_says_so_and_the_next_server_is_quiet(
    root, tmp_path
):
    cache, first, second = tmp_path / "cache", AskedEditor(tmp_path), AskedEditor(tmp_path)
    try:
        await first.start_offering(tmp_path, root, cache)
        await first.type_on()
        await asyncio.wait_for(first.said(), PULL_DEADLINE_S)
        (message,) = first.messages
        assert "could not be fetched" in message
        assert "pip could not fetch" in message
        assert "longllama pull coder-1.5b" in message
        assert await first.suggestion(first.open("untitled:b", "x = "), 0, 4)
        first.messages.clear()
        await first.close()

        await second.start_offering(tmp_path, root, cache)
        await second.type_on()
        await asyncio.sleep(1)
        assert second.questions == []
        await second.close()
    finally:
        await first.kill()
        await second.kill()
    assert len(first.questions) == 1
