"""Tasks in the background, and futures that nobody waits for."""

import asyncio
import gc

from lsp_server.tasks import BackgroundTasks, retrieve_exception
from tests.deadline import DEADLINE_S


async def test_background_tasks_run_to_their_end():
    tasks, done = BackgroundTasks(), asyncio.Event()

    async def work():
        await asyncio.sleep(0)
        done.set()

    tasks.start(work())
    gc.collect()
    await asyncio.wait_for(done.wait(), DEADLINE_S)


async def test_a_failure_that_nobody_waits_for_is_not_reported():
    loop, reports = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: reports.append(context["message"]))
    for callback, n_reports in [(None, 1), (retrieve_exception, 1)]:
        future = loop.create_future()
        if callback is not None:
            future.add_done_callback(callback)
        future.set_exception(ValueError("nobody waits"))
        await asyncio.sleep(0)
        del future
        gc.collect()
        assert len(reports) == n_reports


async def test_a_cancelled_future_has_no_exception_to_retrieve():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    retrieve_exception(future)
