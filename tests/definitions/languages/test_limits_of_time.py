"""Files are read however busy the machine is: what is limited is the processor's time."""

import itertools

import pytest

from longllama_code.definitions.languages import grammars

SOURCE = b"def f():\n    return 1\n" * 200


def test_a_clock_that_runs_on_while_others_have_the_processor_loses_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = itertools.count(0, 3600)
    monkeypatch.setattr(grammars.time, "monotonic", lambda: next(hours))
    assert grammars.parsed(SOURCE, "tree_sitter_python") is not None


def test_a_parse_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammars, "MAX_PARSE_S", 0.0)
    assert grammars.parsed(SOURCE * 50, "tree_sitter_python") is None
    monkeypatch.undo()
    assert grammars.parsed(SOURCE, "tree_sitter_python") is not None
