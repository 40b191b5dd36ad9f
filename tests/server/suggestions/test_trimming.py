"""What of the model's text is shown."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.suggestions.trimming import fitted, without_surplus_closers
from tests.paths import DATA

CASES = tomli.loads((DATA / "suggestions.toml").read_text())["case"]
CODE = st.text(st.sampled_from("ab(){}[] \n\"'"), max_size=40)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases(case):
    before, after = case["at"].split("|")
    assert fitted(case["raw"], before, after) == case["shown"]


@given(CODE, CODE, CODE)
def test_what_is_shown_begins_what_was_written(text, before, after):
    shown = fitted(text, before, after)
    assert text.startswith(shown)
    assert shown.strip() or not shown


@given(CODE, CODE)
def test_what_fits_stays(text, before):
    once = without_surplus_closers(text, before)
    assert without_surplus_closers(once, before) == once


@given(st.text(st.sampled_from("ab ()[]{}"), max_size=30))
def test_brackets_that_are_balanced_stay(text):
    kept = without_surplus_closers(text, "")
    pairs = {")": "(", "]": "[", "}": "{"}
    stack = []
    for char in text:
        if char in pairs.values():
            stack.append(char)
        elif char in pairs and (not stack or stack.pop() != pairs[char]):
            return
    assert kept == text
