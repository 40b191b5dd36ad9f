"""Values in messages."""

import datetime

import pytest

from longllama_code.json_text import as_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"mode": "aut", "on": True, "off": None}, '{"mode": "aut", "on": true, "off": null}'),
        (("a", 1), '["a", 1]'),
        ("größer als 'ß' \"x\"", '"größer als \'ß\' \\"x\\""'),
        ("turned \u202e, alone \ud800,\n", '"turned \\u202e, alone \\ud800,\\n"'),
        (datetime.date(2026, 11, 30), '"2026-11-30"'),
    ],
)
def test_a_value_is_written_as_in_settings(value, text):
    assert as_json(value) == text


def test_a_long_value_is_cut_and_a_deep_one_is_not_written():
    assert as_json("x" * 50, 10) == '"xxxxxxxxx…'
    deep: dict[str, object] = {}
    for _ in range(20_000):
        deep = {"x": deep}
    assert as_json(deep) == "an object of too many levels"
