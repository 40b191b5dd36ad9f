"""Search of what an engine keeps on disk: a planted answer is found, and nothing else is."""

import asyncio
from dataclasses import replace

import pytest

from longllama_code.definitions.fact_cache import FactCache
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import StoreError
from longllama_code.generation.engine import Engine
from longllama_code.memory.storage.stored_tokens import stored_tokens
from longllama_code.tokenizers.tokenizer import ByteTokenizer
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.workspaces.memory_report import unexpected_in_memory
from lsp_server.benchmarks.workspaces.passages import passages
from lsp_server.benchmarks.workspaces.stored_leaks import StoreSearch, leaks_in_store
from lsp_server.benchmarks.workspaces.trees import copy_tree
from lsp_server.clients.headless import headless
from lsp_server.documents.document import Document
from lsp_server.methods import MEMORY
from tests.server.benchmarks.small_benchmark import SHAPES, USES

FILLING = "".join(f"def step_{n}(value):\n    return value + {n}\n\n" for n in range(40))
"""Code between two answers, so that they are in different segments."""


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def workspace(instances, tmp_path):
    target = tmp_path / "ws"
    copy_tree(instances[0].tree, target, instances)
    return target


def remembered(cache, texts):
    """Take texts into an engine's memory and store, and close it."""
    engine = Engine.open(EngineOptions("tiny", cache_dir=cache))
    for path, text in texts.items():
        for _ in engine.remember(path, text):
            pass
    engine.close()


def places(found):
    return {(leak.instance, leak.place.split()[0]) for leak in found}


# The real server.


async def asked(workspace, cache, instances, checks):
    """Ask the server at every cursor; note what the checks find before, between and after."""
    settings = {
        "model": {"path": "tiny", "threads": 1},
        "memory": {"cacheDir": str(cache)},
        "completion": {"maxTokens": 4, "timeoutMs": 60_000},
    }
    async with headless(workspace, settings) as client:
        await client.wait_until_indexed()
        await checks(client, None)
        for instance in instances:
            uri = client.open(workspace / instance.file, instance.opened)
            await client.wait_until_indexed()
            document = Document(uri, "", 1, instance.opened)
            position = document.position(len(instance.before), client.encoding)
            await client.complete(uri, position)
            await checks(client, instance.file)


def test_a_run_without_answers_leaves_none_and_a_planted_one_is_found(instances, tmp_path, cache):
    whole = USES.replace(
        "    edge =", f"    return area\n\n\n{FILLING}\ndef edge_of(square):\n    edge ="
    )
    (instances[0].tree / "uses.py").write_text(whole)
    answers = [each.answer for each in instances]
    at = [whole.index(answer) for answer in answers]
    every = [
        replace(one, before=whole[:start], after=whole[start + len(one.answer) :])
        for one, start in zip(instances, at, strict=True)
    ]
    workspace = tmp_path / "ws"
    copy_tree(every[0].tree, workspace, every)
    found = []

    async def checks(client, opened):
        memory, status = await client.request(MEMORY), await client.status()
        found.append(leaks_in_store(cache, every, workspace))
        found.append(unexpected_in_memory(memory, status, workspace, opened))

    asyncio.run(asked(workspace, cache, every, checks))
    found.append(leaks_in_store(cache, every, workspace))
    assert found == [[]] * 7  # the documents showed the other answer, as they may

    (workspace / "planted.py").write_text(f"# a copy\n{whole}")
    found.clear()
    asyncio.run(asked(workspace, cache, [], checks))
    (workspace / "planted.py").unlink()  # the store still has it
    expected = {(each.id, "segment") for each in every}
    assert places(found[0]) == places(leaks_in_store(cache, every, workspace)) == expected
    assert found[1] == []


# The engine.


def test_memory_and_its_index_of_tokens_are_rows_of_the_store(cache):
    engine = Engine.open(EngineOptions("tiny", cache_dir=cache))
    for path, text in {"uses.py": USES, "shapes.py": SHAPES, "more.py": FILLING}.items():
        for _ in engine.remember(path, text):
            pass
    rows = engine._memory.rows
    in_memory = {
        segment_id: rows.ngrams.ids(*rows.span(segment_id)).tolist()
        for segment_id in engine._memory.segment_ids
    }
    (folder,) = (cache / "memory").iterdir()
    assert {each.segment_id: each.ids for each in stored_tokens(folder)} == in_memory
    assert sum(map(len, in_memory.values())) == len(rows.ngrams) == engine.status().n_tokens
    engine.close()


@pytest.mark.parametrize(
    "texts",
    [
        {"planted.py": USES},
        {"old/uses.py": USES.replace("\n", "\r\n")},
        {"planted.md": f"# Example\n\n{USES}"},
        {"planted.py": FILLING + USES + FILLING},
    ],
)
def test_a_planted_answer_is_found_in_segments(instances, workspace, cache, texts):
    remembered(cache, {"shapes.py": SHAPES, "more.py": FILLING})
    assert leaks_in_store(cache, instances, workspace) == []
    remembered(cache, texts)
    found = leaks_in_store(cache, instances, workspace)
    assert places(found) == {(each.id, "segment") for each in instances}


def test_an_answer_across_two_segments_is_found(workspace, cache):
    lines = [f"    value_{n} = compute(value_{n - 1}, {n})\n" for n in range(1, 60)]
    text = "def long(value_0):\n" + "".join(lines)
    start, end = text.index("value_8 ="), text.index("    value_50")
    one = Instance("long", "r", "long.py", text[:start], text[start:end], text[end:])
    remembered(cache, {"copy.py": text})
    assert len(leaks_in_store(cache, [one], workspace)) > 1
    (found,) = passages([one])
    assert not any(found.is_in(ByteTokenizer().decode(each)) for each in all_ids(cache))


def all_ids(cache):
    return [each.ids for folder in (cache / "memory").iterdir() for each in stored_tokens(folder)]


def test_a_document_may_show_the_other_answers_of_its_file_and_no_copy_may(
    instances, workspace, cache
):
    first, second = instances
    remembered(cache, {"uses.py": first.opened})
    assert leaks_in_store(cache, instances, workspace) == []
    remembered(cache, {"copy.py": first.opened})
    assert places(leaks_in_store(cache, instances, workspace)) == {(second.id, "segment")}


def test_a_document_may_not_show_the_only_answer_of_its_file(instances, workspace, cache):
    only = [instances[0]]
    remembered(cache, {"uses.py": instances[0].opened})
    assert leaks_in_store(cache, only, workspace) == []
    remembered(cache, {"uses.py": USES})
    assert places(leaks_in_store(cache, only, workspace)) == {(only[0].id, "segment")}


# Several workspaces with one store.


def test_what_another_workspace_of_the_run_stored_is_no_leak(instances, workspace, cache):
    search = StoreSearch(cache)
    with search.workspace():
        remembered(cache, {"main.py": USES})  # in another state of the repository
    with search.workspace():
        remembered(cache, {"shapes.py": SHAPES})
        assert search.leaks(instances, workspace) == []
    assert leaks_in_store(cache, instances, workspace) != []


def test_what_was_there_before_the_run_is_a_leak_in_every_workspace(instances, workspace, cache):
    remembered(cache, {"planted.py": USES})
    search = StoreSearch(cache)
    for _ in range(2):
        with search.workspace():
            remembered(cache, {"shapes.py": SHAPES, "planted.py": USES})
            found = search.leaks(instances, workspace)
        assert places(found) == {(each.id, "segment") for each in instances}


def test_a_leak_stays_one_when_the_workspace_is_run_again(instances, workspace, cache):
    search = StoreSearch(cache)
    for _ in range(2):
        with search.workspace():
            remembered(cache, {"planted.py": USES})
            assert search.leaks(instances, workspace) != []


def test_definitions_of_another_workspace_are_no_leaks(constant, workspace, cache):
    search = StoreSearch(cache)
    with search.workspace():
        remembered(cache, {"shapes.py": SHAPES})
        cached(cache, SIZES)
    with search.workspace():
        assert search.leaks([constant], workspace) == []
    assert leaks_in_store(cache, [constant], workspace) != []


# Definitions.

SIZES = """from shapes import unit_size, Square

LARGEST_OF_ALL_SQUARES = 12 * unit_size(Square)
SMALLEST = 1
"""


@pytest.fixture
def constant():
    """An answer that is the value of a constant, which the definitions cache shows."""
    start = SIZES.index("unit_size(Square)")
    end = start + len("unit_size(Square)")
    return Instance("constant", "r", "sizes.py", SIZES[:start], SIZES[start:end], SIZES[end:])


def cached(cache, text):
    facts = FactCache(cache / "definitions")
    facts.read("any.py", text)
    facts.close()


def test_a_planted_answer_is_found_in_definitions(constant, workspace, cache):
    remembered(cache, {"shapes.py": SHAPES})
    cached(cache, constant.opened)
    assert leaks_in_store(cache, [constant], workspace) == []
    cached(cache, f"import os\n{SIZES}")
    assert places(leaks_in_store(cache, [constant], workspace)) == {("constant", "the")}


def test_a_definition_of_the_workspace_is_no_leak(constant, workspace, cache):
    remembered(cache, {"shapes.py": SHAPES})
    (workspace / "own.py").write_text("LARGEST_OF_ALL_SQUARES = 12 * unit_size(Square)\n")
    cached(cache, "LARGEST_OF_ALL_SQUARES = 12 * unit_size(Square)\n")
    assert leaks_in_store(cache, [constant], workspace) == []


def test_a_definition_in_a_document_for_another_answer_is_no_leak(constant, workspace, cache):
    remembered(cache, {"shapes.py": SHAPES})
    at = SIZES.index("unit_size, Square")
    other = Instance("i", "r", "sizes.py", SIZES[:at], SIZES[at : at + 9], SIZES[at + 9 :])
    cached(cache, other.opened)
    assert leaks_in_store(cache, [constant, other], workspace) == []
    assert len(leaks_in_store(cache, [constant], workspace)) == 1


# What cannot be searched.


def test_a_cache_without_a_store_is_no_clean_one(instances, workspace, cache):
    with pytest.raises(StoreError, match=r"holds no store to search: set memory\.persist to true"):
        leaks_in_store(cache, instances, workspace)


def test_a_store_that_does_not_name_its_model_is_refused(instances, workspace, cache):
    remembered(cache, {"shapes.py": SHAPES})
    next(cache.glob("memory/*/model")).unlink()
    with pytest.raises(StoreError, match="does not name its model"):
        leaks_in_store(cache, instances, workspace)
