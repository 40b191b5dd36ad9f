"""What of the model's text is shown."""

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.suggestions.brackets import without_surplus_closers
from lsp_server.suggestions.trimming import fitted as fit
from tests.paths import DATA

CASES = tomli.loads((DATA / "suggestions.toml").read_text())["case"]
CODE = st.text(st.sampled_from("ab(){}[] \n\"'"), max_size=40)


FAR = "x = [f(1), {'a': (2)}]  # one) it's\n" * 250
"""Lines that leave no bracket open."""


def fitted(text, before, after, language=""):
    """What of a text is shown."""
    return fit(text, before, after, language).text


def at_cursor(case):
    # The bar stands in some texts; these have a block instead.
    mark = "\u2588" if "\u2588" in case["at"] else "|"
    return case["at"].split(mark)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases(case):
    before, after = at_cursor(case)
    found = fit(case["raw"], before, after, case.get("language", ""))
    assert (found.text, after[: found.n_replaced]) == (case["shown"], case.get("replaces", ""))


@pytest.mark.parametrize("language", ["", "python"])
@pytest.mark.parametrize("closer", list(")]}"))
def test_an_opener_may_be_far_back(closer, language):
    opener = {")": "(", "]": "[", "}": "{"}[closer]
    before = f"x = f{opener}\n" + FAR.replace("x = ", "").replace("]  #", "],  #")
    assert len(before) > 8_000
    assert fitted(closer, before, "\n", language) == closer
    assert fitted("1" + closer * 2, before, "\n", language) == "1" + closer


@pytest.mark.parametrize("language", ["", "python"])
def test_a_bracket_that_nobody_opened_goes_in_a_long_file_too(language):
    assert fitted(", b))", FAR + "x = f(a", "\n", language) == ", b)"
    assert fitted("}", FAR, "\n", language) == ""


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


@pytest.mark.parametrize("text", ['"\\\\"', "(/[", "'''a", "case ", "/* ", "\\\\'"])
def test_text_that_nobody_wrote_is_not_read(text):
    assert fitted("1))", text * 200_000, "\n") == "1))"


COMMENTS = {"python": "# {}", "c": "/* {} */", "javascript": "// {}", "ruby": "# {}", "go": "// {}"}


@given(
    st.text(st.sampled_from("ab(){}[] #'\"`"), max_size=40),
    st.sampled_from([*COMMENTS]),
)
def test_no_comment_takes_the_opener_of_a_closer(comment, language):
    before = "f({ " + COMMENTS[language].format(comment) + "\n"
    assert without_surplus_closers("})", before, language) == "})"


@given(CODE, CODE, st.sampled_from(["python", "javascript", "shellscript", "ruby", "markdown"]))
def test_only_closers_at_the_end_are_cut(text, before, language):
    kept = without_surplus_closers(text, before, language)
    assert text.startswith(kept)
    assert set(text[len(kept) :]) <= set(")]} \n,;:")
