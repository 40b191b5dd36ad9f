"""Definitions of a repository are read before its files are taken into memory."""

import asyncio

import pytest

from lsp_server.engine.client import EngineError, EngineGone
from lsp_server.indexing.definition_pass import BATCH_FILES, MIN_FILES
from lsp_server.indexing.file_table import Urgency
from tests.deadline import DEADLINE_S

NAMES = [f"{number:02}.py" for number in range(3 * BATCH_FILES)]


def write_all(bench, names=NAMES):
    return {name: bench.write(name, f"# {name}\n") for name in names}


def kinds(bench):
    return [kind for kind, _ in bench.engine.events]


async def begun(bench):
    """Wait for the first request."""

    async def wait():
        while not bench.engine.events:
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_all_definitions_come_before_the_first_file_that_nobody_opened(bench):
    write_all(bench)
    bench.start()
    await bench.idle()
    assert kinds(bench) == ["define"] * 3 + ["remember"] * len(NAMES)
    asked = [names for kind, names in bench.engine.events if kind == "define"]
    assert [name for names in asked for name in names] == NAMES
    assert bench.engine.defined == bench.engine.texts


async def test_an_open_file_is_first_and_then_what_it_imports_is_defined(bench):
    write_all(bench)
    here = bench.write("here.py")
    bench.write("zoo/far.py")
    bench.open[here] = "import zoo.far\n"
    bench.start()
    await bench.idle()
    (first, opened), (second, names), *_ = bench.engine.events
    assert (first, opened, second) == ("remember", "here.py", "define")
    assert names[0] == "zoo/far.py"


async def test_files_that_define_nothing_are_last(bench):
    for number in range(MIN_FILES):
        bench.write(f"docs/{number}.md", "# nothing\n")
    bench.write("zoo/far.py", "x = 1\n")
    bench.start()
    await bench.idle()
    _, names = bench.engine.events[0]
    assert names[0] == "zoo/far.py"
    assert len(names) == MIN_FILES + 1


async def test_what_an_imported_file_imports_is_defined_next(bench):
    write_all(bench)
    here = bench.write("here.py")
    bench.write("zoo/near.py", "from yard.far import Far\n")
    bench.write("yard/far.py")
    bench.open[here] = "import zoo.near\n"
    bench.start()
    await bench.idle()
    batches = [names for kind, names in bench.engine.events if kind == "define"]
    assert batches[0][0] == "zoo/near.py"
    assert batches[1][0] == "yard/far.py"


async def test_what_changes_meanwhile_goes_first(bench):
    paths = write_all(bench)
    bench.engine.may_define.clear()
    bench.start()
    await begun(bench)
    bench.indexer.changed([paths[NAMES[-1]]])
    bench.engine.may_define.set()
    await bench.idle()
    assert bench.engine.events[1] == ("remember", NAMES[-1])
    assert kinds(bench).count("remember") == len(NAMES)


async def test_how_many_definitions_are_missing_is_told(bench):
    write_all(bench)
    bench.engine.may_define.clear()
    bench.start()
    await begun(bench)
    assert bench.indexer.totals().undefined == len(NAMES) - BATCH_FILES
    assert not bench.indexer.knows_definitions
    bench.engine.may_define.set()
    await bench.until(lambda: bench.indexer.knows_definitions)
    assert bench.indexer.busy
    await bench.idle()
    assert bench.indexer.totals().undefined == 0


async def test_a_few_files_are_taken_in_at_once(bench):
    write_all(bench, NAMES[:MIN_FILES])
    bench.start()
    await bench.idle()
    assert kinds(bench) == ["remember"] * MIN_FILES


async def test_a_file_that_goes_before_its_turn_is_forgotten(bench):
    paths = write_all(bench)
    bench.start()
    await bench.until(lambda: bench.engine.texts)
    gone = paths[NAMES[-1]]
    gone.unlink()
    bench.indexer.changed([gone])
    await bench.idle()
    assert NAMES[-1] not in bench.engine.defined
    assert NAMES[-1] not in bench.engine.texts


async def test_what_the_budget_leaves_out_is_forgotten(bench):
    for name in NAMES:
        bench.write(name, "x" * 60)
    bench.start(maxTokens=180)
    await bench.idle()
    assert len(bench.engine.texts) == 3
    assert bench.engine.defined.keys() == bench.engine.texts.keys()


async def test_clearing_forgets_definitions_too(bench):
    write_all(bench)
    bench.engine.may_define.clear()
    bench.start()
    await begun(bench)
    bench.indexer.clear()
    bench.engine.may_define.set()
    await bench.until(lambda: not bench.engine.defined)
    assert bench.engine.texts == {}
    bench.indexer.resume()
    await bench.idle()
    assert bench.engine.texts.keys() == bench.engine.defined.keys() == set(NAMES)


async def test_secrets_and_files_that_cannot_be_read_are_not_sent(bench):
    write_all(bench)
    secret = "".join(("gh", "p_0123456789abcdefghijABCDEFGHIJ456789"))
    bench.write("keys.py", f'TOKEN = "{secret}"\n')
    bench.write("bytes.py").write_bytes(b"x = 1\n" + b"a" * 10_000 + b"\xff\xfe\xfd\n")
    bench.start()
    await bench.idle()
    assert bench.engine.defined.keys() == bench.engine.texts.keys() == set(NAMES)


async def test_an_engine_that_fails_to_define_gets_the_files_all_the_same(bench):
    write_all(bench)
    bench.engine.errors["define"] = [EngineError("no")]
    bench.start()
    await bench.idle()
    assert bench.engine.texts.keys() == set(NAMES)


@pytest.mark.parametrize("n_deaths", [1, 2])
async def test_files_over_whose_definitions_the_engine_dies_are_taken_in_alone(bench, n_deaths):
    write_all(bench)
    bench.engine.errors["define"] = [EngineGone("died") for _ in range(n_deaths)]
    bench.start()
    await bench.idle()
    assert bench.engine.texts.keys() == set(NAMES)
    again = [names for kind, names in bench.engine.events[n_deaths:] if kind == "define"]
    dead = {name for _, names in bench.engine.events[:1] for name in names}
    assert not dead & {name for names in again for name in names}


async def test_a_file_opened_during_the_pass_is_not_kept_waiting(bench):
    paths = write_all(bench)
    bench.engine.may_define.clear()
    bench.start()
    await begun(bench)
    opened = paths[NAMES[-1]]
    bench.open[opened] = "live"
    bench.indexer.changed([opened], Urgency.OPEN)
    bench.engine.may_define.set()
    await bench.idle()
    assert bench.engine.events[1] == ("remember", NAMES[-1])
    assert bench.engine.texts[NAMES[-1]] == "live"
