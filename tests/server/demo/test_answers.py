"""What the demo says of a suggestion."""

from typing import Any

from lsp_server.demo.answers import Answer


def shown(name: str, *, is_named: bool) -> dict[str, Any]:
    return {"path": "lib.py", "first_line": 3, "name": name, "is_named": is_named}


def copied(first_line: int, mass: float) -> dict[str, Any]:
    return {"path": "other.py", "first_line": first_line, "last_line": first_line, "mass": mass}


TIMINGS = {
    "prompt_tokens": 120,
    "reused_tokens": 20,
    "prefill_ms": 1500.0,
    "generated_tokens": 4,
    "decode_ms": 240.0,
}


def test_definitions_that_it_names_come_before_lines_that_it_copied() -> None:
    definitions = [shown("unused", is_named=False), shown("Ledger.post", is_named=True)]
    explained = {"definitions": definitions, "sources": [copied(7, 0.9), copied(9, 0.02)]}
    assert Answer("post()", 1.0, explained).sources == [
        "lib.py:3  Ledger.post",
        "other.py:7-7  90 % of what it copied",
    ]


def test_its_times_tell_reading_from_writing() -> None:
    said = "2.0 s (100 tokens read in 1.5 s, 4 written in 0.2 s)"
    assert Answer("post()", 2.0, {"timings": TIMINGS}).times == said


def test_a_request_that_was_refused_has_a_reason_and_no_sources() -> None:
    refused = Answer("", 0.5, {"reason": "secret", "timings": None, "sources": []})
    assert (refused.reason, refused.times, refused.sources) == ("secret", "0.5 s", [])
