"""Listing and clearing the cache folder."""

import json

import pytest

from longllama_code.generation import engine_cache
from lsp_server.cli import cache_folder
from lsp_server.cli.main import main


@pytest.fixture
def root(tmp_path):
    """A cache folder with two memories, a model and fetched sources."""
    for name, text in {
        "memory/aaaa/records-0.bin": "x" * 2_000_000,
        "memory/aaaa/model": "mini",
        "memory/bbbb/records-0.bin": "x" * 10,
        "models/mini-76fa9c5a/model.safetensors": "x" * 500_000,
        "models/mini-76fa9c5a.lock": "",
        "sources/a.whl": "x" * 100,
    }.items():
        path = tmp_path / "cache" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "cache"


def listed(capsys, root, *options):
    assert main(["cache", "--cache-dir", str(root), "--json", *options]) == 0
    return {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}


def test_the_server_knows_where_the_engine_writes_the_name():
    assert cache_folder.MODEL_FILE == engine_cache.MODEL_NAME_FILE


def test_everything_is_listed_by_size_and_model(root, capsys):
    found = listed(capsys, root)
    assert found.keys() == {"memory/aaaa", "memory/bbbb", "models/mini-76fa9c5a", "sources"}
    assert found["memory/aaaa"]["n_bytes"] == 2_000_004
    models = {name: entry["model"] for name, entry in found.items()}
    assert models["memory/aaaa"] == models["models/mini-76fa9c5a"] == "mini"
    assert models["memory/bbbb"] is models["sources"] is None
    assert main(["cache", "--cache-dir", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"in {root}: 2.5 MB"
    assert lines[1].split()[:3] == ["memory/aaaa", "2.0", "MB"]


def test_what_is_named_is_removed(root, capsys, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "memory" / "link").symlink_to(outside)
    assert listed(capsys, root, "--clear", "memory/bbbb").keys() == {"memory/bbbb"}
    assert listed(capsys, root, "--clear", "mini").keys() == {"memory/aaaa", "models/mini-76fa9c5a"}
    assert listed(capsys, root).keys() == {"sources"}
    assert outside.is_dir()


def test_a_name_that_nothing_has_removes_nothing(root, capsys):
    assert main(["cache", "--cache-dir", str(root), "--clear", "mini", "../x"]) == 1
    assert "is named '../x'" in capsys.readouterr().err
    assert (root / "memory" / "aaaa").is_dir()


def test_an_empty_cache_folder(tmp_path, capsys):
    assert listed(capsys, tmp_path / "none") == {}
