"""`longllama pull` as a child: what it tells, how it fails, and that it ends with its children."""

import asyncio

import psutil
import pytest

from lsp_server.models.pull_process import PullFailed, pull_model
from tests.deadline import DEADLINE_S
from tests.e2e.editor import is_running, until_ended


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
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(90)"])
print(f"  1 % {child.pid}", flush=True)
child.wait()
""")
    told = asyncio.get_running_loop().create_future()
    work = asyncio.create_task(pull_model("x", tmp_path, lambda _, step: told.set_result(step)))
    child = int(await told)
    parent = psutil.Process(child).ppid()
    work.cancel()
    await asyncio.wait([work], timeout=DEADLINE_S)
    assert work.cancelled()
    assert not is_running(parent)
    await until_ended(child)
