"""What the benchmark makes sure of before it asks the real server."""

import pytest

from lsp_server.benchmarks.systems import longllama
from lsp_server.benchmarks.systems.longllama import our_server

SETTINGS = {"model": {"path": "tiny", "threads": 1}, "memory": {"persist": False}}


def contradicted(monkeypatch, n_times):
    """Have the memory be another one than the status says, a number of times; count the looks."""
    looks = []

    def unexpected(*_):
        looks.append(1)
        return ["the engine has 1 files in memory, the server lists 0"][len(looks) > n_times :]

    monkeypatch.setattr(longllama, "unexpected_in_memory", unexpected)
    monkeypatch.setattr(longllama, "POLL_S", 0.01)
    return looks


async def test_two_answers_that_contradict_each_other_are_asked_for_again(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1\n")
    looks = contradicted(monkeypatch, n_times=2)
    async with our_server(tmp_path, SETTINGS) as server:
        loaded = await server.open("a.py", "x = 1\n")
    assert (len(looks), loaded.files) == (3, 1)


async def test_what_stays_in_memory_is_refused(tmp_path, monkeypatch):
    contradicted(monkeypatch, n_times=1_000_000)
    monkeypatch.setattr(longllama, "SETTLES_S", 0.1)
    async with our_server(tmp_path, SETTINGS) as server:
        with pytest.raises(RuntimeError, match="1 files in memory, the server lists 0"):
            await server.open("a.py", "x = 1\n")
