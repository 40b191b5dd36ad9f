"""What an engine is started with survives its command line."""

from dataclasses import replace
from pathlib import Path

import pytest

from longllama_code.engine_options import EngineOptions
from lsp_server.engine.options import ClientOptions, parse
from lsp_server.engine.shared_endpoint import Endpoint
from lsp_server.engine.team.selection import engine_choice
from lsp_server.settings.declarations import Settings
from lsp_server.settings.layers import resolve


@pytest.mark.parametrize(
    "options",
    [
        EngineOptions("tiny"),
        EngineOptions("tiny", dtype="float32", compile=True, compact_definitions=True),
        EngineOptions("mini", Path("/c"), persist=False, max_store_bytes=0, gpu_bytes=0),
        EngineOptions("a b", None, threads=3, device="cuda:1", dtype="int4", gpu_bytes=1 << 33),
    ],
)
def test_a_command_line_says_it_all(options: EngineOptions) -> None:
    address = Path("/s")
    command = [*ClientOptions(options).arguments(), "--address", str(address)]
    assert parse(command) == (options, address)


def test_a_model_of_one_file_that_was_replaced_has_another_engine(tmp_path: Path) -> None:
    model = tmp_path / "a b.gguf"
    model.write_bytes(b"GGUF")
    options = ClientOptions(EngineOptions(str(model)))
    before = Endpoint.for_options(options)
    assert Endpoint.for_options(options) == before
    model.write_bytes(b"GGUF of another")
    assert Endpoint.for_options(options) != before


@pytest.mark.parametrize("model", ["C:/models/a.gguf", "**", "a[", "ollama:a:b", "..", "a/"])
def test_any_name_of_a_model_has_an_endpoint(model: str) -> None:
    options = ClientOptions(EngineOptions(model))
    assert Endpoint.for_options(options) == Endpoint.for_options(options)


def test_settings_reach_the_engine() -> None:
    found, problems = resolve([{"memory": {"gpuBytes": 7}, "model": {"device": "cuda"}}])
    assert not problems
    options = engine_choice(found, []).local.engine
    assert (options.gpu_bytes, options.device) == (7, "cuda")
    assert not options.compact_definitions
    compact, _ = resolve([{"memory": {"compactDefinitions": True}}])
    assert engine_choice(compact, []).local.engine.compact_definitions
    more, _ = resolve([{"memory": {"gpuBytes": 8}, "model": {"device": "cuda"}}])
    assert engine_choice(more, []).local.engine == replace(options, gpu_bytes=8)


def test_whether_to_compile_reaches_the_engine() -> None:
    found, problems = resolve([{"model": {"compile": True}}])
    assert not problems
    options, usual = (engine_choice(each, []).local for each in (found, Settings()))
    assert options.engine == replace(usual.engine, compile=True)
    assert Endpoint.for_options(options) != Endpoint.for_options(usual)
