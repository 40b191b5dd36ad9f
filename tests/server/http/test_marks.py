"""Prompts with marks of a model's training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.http.marks import FAMILIES, Marked, taken_apart

PLAIN = st.text(alphabet="ab \n\t<>|[]é😀", max_size=60)
FAMILY = st.sampled_from(FAMILIES)


@given(PLAIN, PLAIN, FAMILY)
def test_both_sides_come_back_whole(before, after, marks):
    if marks.middle:
        prompt = f"{marks.prefix}{before}{marks.suffix}{after}{marks.middle}"
    else:
        prompt = f"{marks.suffix}{after}{marks.prefix}{before}"
    assert taken_apart(prompt) == Marked(before, after)


@given(PLAIN, PLAIN, st.sampled_from([each for each in FAMILIES if each.middle]))
def test_the_suffix_may_come_first(before, after, marks):
    prompt = f"{marks.prefix}{marks.suffix}{after}{marks.middle}{before}"
    assert taken_apart(prompt) == Marked(before, after)


@given(PLAIN)
def test_a_text_without_marks_is_none(text):
    assert taken_apart(text) is None


@given(st.text(max_size=200))
def test_any_text_is_taken_apart_or_left(text):
    found = taken_apart(text)
    assert found is None or len(found.before) + len(found.after) < len(text)


def test_the_name_behind_the_last_mark_of_a_file_is_its_name():
    prompt = (
        "<|repo_name|>shop\n<|file_sep|>shop/cart.py\nclass Cart: ...\n<|file_sep|>shop/order.py\n"
        "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    )
    assert taken_apart(prompt) == Marked("a", "b", "shop/order.py")


def test_what_stands_in_front_of_the_marks_is_no_part_of_the_file():
    prompt = "Context:\n\nx = 1\n<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    assert taken_apart(prompt) == Marked("a", "b")


@pytest.mark.parametrize("cut", ["", "\n    ("])
def test_code_about_marks_is_no_prompt_with_marks(cut):
    code = f'MARKS = (\n    "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"\n){cut}'
    assert taken_apart(code) is None
