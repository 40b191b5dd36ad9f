"""The progress bar and the status, as an editor sees them."""

import os
import re
import signal
import sys

import pytest
from lsprotocol import types

from tests.e2e.editor import capabilities

BAR = {"create", "created", "begin", "report", "end"}


def bar(editor):
    """All that was said of progress bars."""
    return [(kind, value) for kind, value in editor.heard if kind in BAR]


async def test_a_bar_and_statuses_from_beginning_to_end(start, many_files, slow_settings):
    editor = await start(can=capabilities(progress=True), settings=slow_settings)
    status = await editor.indexed()
    await editor.until(lambda: editor.phase == "ready")
    await editor.until(lambda: bar(editor)[-1][0] == "end")

    told = [status["phase"] for status in editor.statuses]
    assert told == sorted(told, key=["loading", "indexing", "ready"].index)
    assert set(told) == {"loading", "indexing", "ready"}
    assert [status["busy"] for status in editor.statuses][-2:] == [True, False]
    counts = [status["files"]["in_memory"] for status in editor.statuses]
    assert counts == sorted(counts)
    assert editor.statuses[-1] == {key: status[key] for key in editor.statuses[-1]}

    kinds = [kind for kind, _ in bar(editor)]
    n_reports = kinds.count("report")
    assert kinds == ["create", "created", "begin", *["report"] * n_reports, "end"]
    assert n_reports > 1
    token = bar(editor)[0][1]
    assert {value["token"] for _, value in bar(editor)[2:]} == {token}
    begin = bar(editor)[2][1]
    assert (begin["title"], begin["cancellable"]) == ("Reading the repository", True)
    shares = [value["percentage"] for kind, value in bar(editor) if kind in {"begin", "report"}]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 100
    said = bar(editor)[-2][1]
    assert re.match(rf"{said['percentage']} %.*; suggestions already work\Z", said["message"])
    told = [status for status in editor.statuses if "the repository:" in status["message"]]
    assert told
    for status in told:
        percent = f"{round(100 * status['progress'])} %"
        assert status["message"].startswith(f"reading the repository: {percent}")
    assert editor.statuses[-1]["progress"] is None


async def test_a_client_that_answers_too_late_has_no_bar(start, many_files, slow_settings):
    editor = await start(can=capabilities(progress=True), settings=slow_settings)
    editor.allows_progress.clear()
    await editor.indexed()
    assert [kind for kind, _ in bar(editor)] == ["create"]
    editor.allows_progress.set()
    await editor.until(lambda: bar(editor)[-1][0] == "created")
    await editor.status()
    assert [kind for kind, _ in bar(editor)] == ["create", "created"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of POSIX")
async def test_cancelling_the_bar_pauses_until_it_is_resumed(start, many_files, slow_settings):
    editor = await start(can=capabilities(progress=True), settings=slow_settings)
    await editor.until(lambda: editor.n_in_memory > 0)
    engine = (await editor.status())["engine_pid"]
    os.kill(engine, signal.SIGSTOP)  # files are left to read, however late the bar comes
    await editor.until(lambda: any(kind == "begin" for kind, _ in bar(editor)))
    params = types.WorkDoneProgressCancelParams(bar(editor)[0][1])
    editor.window_work_done_progress_cancel(params)
    await editor.until(lambda: editor.phase == "paused")
    await editor.until(lambda: bar(editor)[-1][0] == "end")
    os.kill(engine, signal.SIGCONT)
    paused = await editor.indexed()
    assert (paused["phase"], paused["kind"]) == ("paused", "Inactive")
    assert paused["files"]["waiting"] > 0
    assert await editor.items(editor.open("untitled:a", "x = "), 0, 4) != []
    await editor.command("longllama.resumeIndexing")
    status = await editor.indexed()
    assert (status["phase"], status["files"]["in_memory"]) == ("ready", many_files)


async def test_pausing_by_command(start, root):
    editor = await start()
    await editor.command("longllama.pauseIndexing")
    assert (await editor.indexed())["phase"] == "paused"
    (root / "a.py").write_text("x = 1\n")
    await editor.memory_until(lambda files: files.get("a.py", {}).get("state") == "waiting")
    await editor.command("longllama.resumeIndexing")
    await editor.memory_until(lambda files: files["a.py"]["state"] == "in_memory")


async def test_no_bar_without_the_capability_or_for_a_few_files(start, root, many_files):
    editor = await start()
    await editor.indexed()
    assert bar(editor) == []
    (root.parent / "small").mkdir()
    (root.parent / "small" / "a.py").write_text("x = 1\n")
    editor = await start(root.parent / "small", can=capabilities(progress=True))
    await editor.indexed()
    assert bar(editor) == []
