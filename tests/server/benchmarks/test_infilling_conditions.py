"""All conditions of a benchmark: the real server with a random model, and llama.cpp's stand-in."""

import json
from xml.etree import ElementTree

import psutil
import pytest

from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from lsp_server.benchmarks.systems.conditions import NAMES
from tests.code_model import write_code_model
from tests.server.benchmarks.bench_command import bench, small
from tests.server.benchmarks.llama_server_stand_in import stand_in
from tests.server.benchmarks.small_benchmark import ANSWERS, SHAPES, USES, write_benchmark


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    peer = stand_in(tmp_path_factory.mktemp("llama.cpp"))
    peer.answer_prompts({"    area = ": ANSWERS[0]})
    return peer


@pytest.fixture(scope="module")
def compared(tmp_path_factory, peer):
    """A run under all conditions, and the processes that it left."""
    folder = tmp_path_factory.mktemp("compared")
    data, model = write_benchmark(folder / "data"), str(write_code_model(folder / "coder"))
    peers = ["--llama-server", peer.program, "--gguf", str(peer.model)]
    before = set(psutil.Process().children(recursive=True))
    ran = bench(
        "crosscodeeval", data, folder, *small(model, maxTokens=4), "--conditions", "all", *peers
    )
    return ran, set(psutil.Process().children(recursive=True)) - before


@pytest.fixture(scope="module")
def ran(compared):
    return compared[0]


def rows_of(ran, condition):
    return [row for row in ran.rows if row["condition"] == condition]


def test_all_conditions_are_asked_at_every_cursor(ran):
    assert ran.code == 0
    assert [row["error"] for row in ran.rows] == [None] * 2 * len(NAMES)
    assert [row["condition"] for row in ran.rows[::2]] == list(NAMES)
    assert all(row["seconds"] > 0 and row["prompt_tokens"] > 0 for row in ran.rows)


def test_every_condition_sees_what_it_says(ran):
    n_document = len(USES) - len(ANSWERS[0])  # a byte is a token
    seen = {name: {(row["files"], row["tokens"]) for row in rows_of(ran, name)} for name in NAMES}
    assert seen["file"] == {(1, n_document)}
    assert seen["repository"] == seen["similar"] == {(2, n_document + len(SHAPES))}
    assert {n_chunks for n_chunks, _ in seen["llama.cpp"]} == {1}


def test_similar_code_takes_the_place_of_definitions_in_the_prompt(ran):
    alone, similar = (rows_of(ran, name) for name in ("file", "similar"))
    for without, with_chunk in zip(alone, similar, strict=True):
        n_more = with_chunk["prompt_tokens"] - without["prompt_tokens"]
        assert n_more > len(SHAPES)  # its path is shown, too


def test_delays_are_measured_at_the_last_instance(ran):
    for name in NAMES:
        first, last = rows_of(ran, name)
        assert (first["key_seconds"], first["change_seconds"]) == (None, None)
        assert last["key_seconds"] > 0
        if name == "file":  # there is no other file to change
            assert last["change_seconds"] is None
        else:
            assert last["change_seconds"] > 0


def test_the_store_is_searched_where_the_repository_is_in_it(ran):
    searched = {name: [row["store_searched"] for row in rows_of(ran, name)] for name in NAMES}
    assert searched == {
        "file": [False, False],
        "repository": [True, True],
        "similar": [True, True],
        "memory": [True, True],
        "llama.cpp": [False, False],
    }
    assert "first request: repository 1 of 1, memory 1 of 1, similar 1 of 1." in ran.written(".md")


def test_llama_cpp_is_asked_with_chunks_of_the_repository(ran, peer):
    assert [row["right"] for row in rows_of(ran, "llama.cpp")] == [1.0, 0.0]
    asked = peer.asked[0]
    assert asked["prompt"] == "    area = "
    assert asked["input_extra"][0]["text"].strip() == SHAPES.strip()
    assert ANSWERS[0] not in str(asked)


def test_the_summary_names_the_engines_with_their_versions(ran):
    ours, theirs = ran.summary["engines"]
    assert ours.endswith("coder (float32 on cpu)")
    assert theirs == "model.gguf (llama.cpp 7 (stand-in))"
    assert f"- model: {ours}, {theirs}" in ran.out


def test_tables_and_picture_are_written_beside_the_summary(ran):
    assert ran.out == ran.written(".md") + "\n"
    assert ElementTree.fromstring(ran.written(".svg")).tag.endswith("svg")
    for name in NAMES:
        assert f"<!-- {name} -->" in ran.written(".svg")
        assert f"| {name} | 2 | " in ran.written(".md")
    assert "| repository minus file | 2 | " in ran.out
    assert "| published 14b | 1 | 1.000 " in ran.out


def test_servers_and_engines_end_with_the_run(compared):
    assert compared[1] == set()


def test_a_planted_answer_in_the_store_fails_every_row_of_the_repository(data, tmp_path):
    cache = tmp_path / "cache"
    engine = Engine.open(EngineOptions("tiny", cache_dir=cache))
    for _ in engine.remember("planted.py", USES):
        pass
    engine.close()
    options = [*small("tiny"), "--cache", str(cache), "--conditions", "repository"]
    ran = bench("crosscodeeval", data, tmp_path, *options)
    assert ran.code == 0
    assert len(ran.rows) == 2
    for row in ran.rows:
        assert "of the store" in row["error"]
        assert (row["suggestion"], row["store_searched"]) == ("", False)


def test_a_later_state_of_a_repository_in_the_store_is_no_leak(tmp_path):
    lines = ["square = Square(2)", ANSWERS[0], ANSWERS[1]]
    rows = [
        {
            "repo_name": "someone/shapes",
            "file_path": "main.py",
            "context": [{"identifier": "Square", "path": "shapes.py", "snippet": SHAPES}],
            "import_statement": "from shapes import Square",
            "cropped_code": "\n".join(lines[:n]),
            "next_line": lines[n],
            "created_at": "2023-10-01",
        }
        for n in (1, 2)
    ]
    table = tmp_path / "cross_file_first.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = bench("repobench", table, tmp_path, *small("tiny", maxTokens=2), "--no-delays")
    assert ran.code == 0
    assert [row["error"] for row in ran.rows] == [None] * 4
    asked = [row for row in ran.rows if row["condition"] == "repository"]
    assert [(row["files"], row["store_searched"]) for row in asked] == [(2, True)] * 2
