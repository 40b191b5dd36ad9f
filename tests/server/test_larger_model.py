"""The larger code model: when it is offered, that it is once, and what comes of the answer."""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from statistics import median

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from longllama_code.catalog import ALIASES, CATALOG
from longllama_code.default_model import Chosen
from lsp_server import diagnosis, larger_model, pull_process
from lsp_server.features import larger_model as feature
from lsp_server.larger_model import (
    ENOUGH_ANSWERS,
    LARGER,
    LEAST_FREE_BYTES,
    LIMIT_MS,
    SLOWER,
    AnswerTimes,
    Measured,
    claim_offer,
    judge,
)
from lsp_server.processes import connect_stdio
from lsp_server.pull_process import PullFailed, pull_model
from lsp_server.setting_layers import resolve
from tests.e2e.editor import ANSWERS, DEADLINE_S, Editor, capabilities, is_running

CODER = {"model": {"path": "coder"}}
QUICK = Measured(ENOUGH_ANSWERS, 20.0)
CAN = {
    "textDocument": {"inlineCompletion": {}},
    "window": {"showMessage": {}, "workDoneProgress": True},
}
QUESTION = "window/showMessageRequest"
PULL_DEADLINE_S = 4 * DEADLINE_S
"""A process that imports torch, and one pip after another, on a machine that is busy."""


def settings(**layer):
    resolved, problems = resolve([CODER, layer])
    assert not problems
    return resolved


# The rules.


def test_what_is_offered_is_a_model_of_the_catalog_and_costs_what_is_said():
    large, small = CATALOG[LARGER].source, CATALOG[ALIASES["coder"]].source
    assert f"{large.n_bytes / 1e9:.1f} GB to fetch" in larger_model.COSTS
    assert large.n_bytes / small.n_bytes < SLOWER  # on the safe side


@given(st.lists(st.floats(1, 1000), min_size=ENOUGH_ANSWERS, max_size=2 * ENOUGH_ANSWERS))
def test_it_is_worth_it_where_half_of_the_suggestions_would_stay_within_the_limit(milliseconds):
    times = AnswerTimes()
    for ms in milliseconds:
        times.note(ms / 1000)
    expected = median(milliseconds) * SLOWER
    if abs(expected - LIMIT_MS) > 1e-6:
        verdict = judge(settings(), times.measured, None)
        assert verdict.is_worth_it == (expected < LIMIT_MS)
        assert f"{expected:.0f}" in verdict.words


def test_too_few_answers_say_nothing_yet():
    few = judge(settings(), Measured(ENOUGH_ANSWERS - 1, 1.0), None)
    assert (few.is_worth_it, "49 of 50" in few.words) == (False, True)
    assert judge(settings(), Measured(ENOUGH_ANSWERS, 1.0), None).is_worth_it


def test_the_last_answers_count_and_another_engine_begins_anew():
    times = AnswerTimes()
    for seconds in [9.0] * 1000 + [0.01] * larger_model.KEPT_ANSWERS:
        times.note(seconds)
    assert times.measured.median_ms == pytest.approx(10)
    times.clear()
    assert times.measured == Measured()


def test_a_slow_machine_does_not_look_fast_to_whoever_types_fast():
    """All that is slow is ended by the next key; of the rest, what was ended says nothing."""
    times = AnswerTimes()
    for _ in range(10):
        times.note(0.02)
    for _ in range(ENOUGH_ANSWERS):
        times.note_given_up(0.15)
        times.note_given_up(0.03)
    assert times.measured.n_answers == 10 + ENOUGH_ANSWERS
    assert not judge(settings(), times.measured, None).is_worth_it


def test_memory_must_be_free_where_that_is_known():
    short = judge(settings(), QUICK, LEAST_FREE_BYTES - 1)
    assert (short.is_worth_it, "needs 3" in short.words) == (False, True)
    assert judge(settings(), QUICK, LEAST_FREE_BYTES).is_worth_it


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"engine": {"url": "https://engine.example"}}, "a team's engine"),
        ({"model": {"path": LARGER}}, f"names {LARGER}"),
        ({"model": {"path": "coder-0.5b"}}, "names coder-0.5b"),
        ({"model": {"path": "mini"}}, "names mini"),
        ({"model": {"path": "script:answers.json"}}, "names script:answers.json"),
    ],
)
def test_whoever_chose_is_not_asked(layer, said):
    verdict = judge(settings(**layer), QUICK, None)
    assert (verdict.is_worth_it, said in verdict.words) == (False, True)


def test_a_machine_that_got_the_small_model_is_not_asked(monkeypatch):
    found = {name: settings(model={"path": name}) for name in ("auto", "coder")}
    monkeypatch.setattr(
        larger_model, "chosen_model", lambda name: Chosen(name.replace("auto", "coder"))
    )
    assert judge(found["auto"], QUICK, None).is_worth_it
    monkeypatch.setattr(larger_model, "chosen_model", lambda _: Chosen("mini", "memory is short"))
    verdict = judge(found["auto"], QUICK, None)
    assert (verdict.is_worth_it, "memory is short" in verdict.words) == (False, True)


def test_of_many_that_would_ask_at_once_one_does(tmp_path):
    cache, claims = tmp_path / "new" / "cache", list[bool]()
    threads = [
        threading.Thread(target=lambda: claims.append(claim_offer(cache))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == [False] * 15 + [True]
    assert not claim_offer(cache)


def test_where_it_cannot_be_noted_that_the_user_was_asked_they_are_not(tmp_path):
    (tmp_path / "file").touch()
    assert not claim_offer(tmp_path / "file")
    (tmp_path / f"{LARGER}.offered").mkdir()
    assert not claim_offer(tmp_path)


# The process that fetches.


@pytest.fixture
def pulls(monkeypatch, tmp_path):
    """Puts a program in the place of ``longllama``."""

    def put(code):
        program = tmp_path / "program.py"
        program.write_text("import sys, time, subprocess, pathlib\n" + code)
        monkeypatch.setattr(
            pull_process, "python_command", lambda _: [sys.executable, str(program)]
        )

    return put


async def test_a_pull_tells_its_steps(pulls, tmp_path):
    pulls("print('warning'); print('  3 % download 1 of 2 MB'); print('100 % done')")
    told = []
    await pull_model("x", tmp_path, lambda *step: told.append(step))
    assert told == [(3, "download 1 of 2 MB"), (100, "done")]


async def test_a_pull_that_fails_gives_its_own_error(pulls, tmp_path):
    pulls("print(' 1 % verify'); sys.exit('longllama: the disk is full:\\nmake room')")
    with pytest.raises(PullFailed) as failure:
        await pull_model("x", tmp_path, lambda *_: None)
    assert str(failure.value) == "the disk is full:\nmake room"
    pulls("sys.exit(3)")
    with pytest.raises(PullFailed, match="ended with 3"):
        await pull_model("x", tmp_path, lambda *_: None)


async def test_a_pull_in_a_folder_that_is_gone_fails_as_others_do(tmp_path):
    with pytest.raises(PullFailed, match="cannot be started"):
        await pull_model("x", tmp_path / "gone", lambda *_: None)


async def test_a_cancelled_pull_ends_with_all_that_it_started(pulls, tmp_path):
    pulls("""
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(f"  1 % {child.pid}", flush=True)
child.wait()
""")
    told = asyncio.get_running_loop().create_future()
    work = asyncio.create_task(pull_model("x", tmp_path, lambda _, step: told.set_result(step)))
    child = int(await told)
    parent = psutil.Process(child).ppid()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not is_running(parent)
    while is_running(child):  # ended, and for the system to take note of
        await asyncio.sleep(0.01)


# The offer, as a client sees it.


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache folder of this test, a machine with room, and no pause before the question."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LONGLLAMA_CACHE", str(folder))
    monkeypatch.setattr(feature, "available_bytes", lambda: None)
    monkeypatch.setattr(feature, "QUIET_S", 0.01)
    return folder


async def begin(wire, root, **answers):
    """Shake hands with a client that answers so."""
    wire.answers.update(answers)
    options = {**CODER, "trigger": {"debounceMs": 0}, "completion": {"ahead": False}}
    await wire.begin(root, can=CAN, options=options)
    await wire.indexed()


async def type_on(wire, n_answers=ENOUGH_ANSWERS, kind=2):
    """Have that many suggestions made."""
    uri = wire.open("untitled:a", "x = ")
    for _ in range(n_answers):
        await wire.inline(uri, 0, 4, kind)


async def settle(wire):
    """Wait for whatever was begun after the last suggestion."""
    await asyncio.sleep(10 * feature.QUIET_S)
    if wire.server.offer._work is not None:
        await asyncio.wait([wire.server.offer._work])


async def test_it_is_offered_once_with_what_it_brings_and_costs(wire, root, cache):
    await begin(wire, root)
    await type_on(wire, ENOUGH_ANSWERS - 1)
    await settle(wire)
    assert wire.said(QUESTION) == []
    await type_on(wire, 2 * ENOUGH_ANSWERS)
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
    await begin(wire, root, **{QUESTION: {"title": feature.USE}, feature.CHOOSE: True})
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
    assert wire.said(feature.CHOOSE) == [{"model": LARGER}]
    assert wire.messages == []


def values(wire):
    """What was said of progress bars."""
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
    assert wire.said(feature.CHOOSE) == []


async def test_the_end_of_the_server_ends_the_pull(wire, root, cache, pulls):
    pulls("print(f'  7 % {__import__(\"os\").getpid()}', flush=True); time.sleep(60)")
    await begin(wire, root, **{QUESTION: {"title": feature.USE}})
    await type_on(wire)
    await wire.until(lambda: len(values(wire)) > 1)
    pid = int(values(wire)[1]["message"])
    await wire.server.end()
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
        path = {"PYTHONPATH": str(Path(__file__).parents[2])}
        await connect_stdio(
            self,
            *(sys.executable, str(program), str(script)),
            stderr=self._log,
            env={**os.environ, **env, **path},
        )
        self.process = self._server
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
        for _ in range(ENOUGH_ANSWERS):
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
