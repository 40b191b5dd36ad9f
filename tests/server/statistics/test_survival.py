"""Whether an accepted text is still there: Levenshtein's distance to what is in its place."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.statistics.spans import change_between
from lsp_server.statistics.survival import is_still_there, least_distance

SHORT = st.text("ab\n", max_size=9)


def distance_by_table(pattern: str, text: str) -> int:
    """Return what `least_distance` does, by Sellers' table of all distances."""
    row = list(range(len(pattern) + 1))
    least = row[-1]
    for char in text:
        above, row = row, [0]
        for index, wanted in enumerate(pattern):
            row.append(min(above[index] + (char != wanted), above[index + 1] + 1, row[index] + 1))
        least = min(least, row[-1])
    return least


@given(SHORT, SHORT)
def test_the_distance_is_that_of_the_table(pattern, text):
    assert least_distance(pattern, text) == distance_by_table(pattern, text)


@given(st.text("abcd", min_size=65, max_size=140), st.text("abcd", max_size=200))
def test_patterns_longer_than_a_machine_word_are_no_other(pattern, text):
    assert least_distance(pattern, text) == distance_by_table(pattern, text)


@given(SHORT, SHORT, SHORT)
def test_a_part_of_a_text_has_no_distance(before, pattern, after):
    assert least_distance(pattern, before + pattern + after) == 0


@given(SHORT, SHORT, SHORT, SHORT)
def test_the_texts_outside_of_a_change_are_equal(before, old, new, after):
    then, now = before + old + after, before + new + after
    change = change_between(then, now)
    if change is None:
        assert then == now
        return
    assert then[: change.start] == now[: change.start]
    assert then[change.end :] == now[change.end_now :]
    assert (change.end - change.start, change.end_now - change.start) != (0, 0)
    assert change.end - change.start <= len(old)


def look(before: str, accepted: str, after: str, now: str) -> bool:
    then = before + accepted + after
    return is_still_there(then, len(before), len(before) + len(accepted), now)


@given(SHORT, st.text("xyz", min_size=1, max_size=9), SHORT, SHORT, SHORT)
def test_edits_around_an_accepted_text_leave_it_there(before, accepted, after, first, last):
    assert look(before, accepted, after, first + accepted + last)


def test_an_edit_below_a_third_of_it_leaves_it_there_and_a_larger_one_does_not():
    accepted = "price_of(item) * count"
    assert look("total = ", accepted, "\n", "total = prices_of(items) * count\n")
    assert not look("total = ", accepted, "\n", "total = sum(map(price, items))\n")
    assert not look("total = ", accepted, "\n", "total = \n")


def test_it_is_found_where_other_lines_moved_it_and_where_all_was_indented():
    accepted = "return price * count"
    assert look(
        "def f():\n    ",
        accepted,
        "\n",
        "import os\n\ndef f():\n    log()\n    return price * count\n",
    )
    assert look(
        "if a:\n  ", accepted, "\n", "class A:\n    if b:\n        return price * count\n# end\n"
    )


def test_it_is_gone_where_the_file_was_emptied_or_is_another():
    assert not look("x = ", "compute_total(prices)", "\n", "")
    assert not look("x = ", "compute_total(prices)", "\n", "y = 1\nz = 2\n" * 50)


def test_a_long_file_that_changed_everywhere_is_searched_around_the_place():
    lines = [f"value_{number} = compute({number})\n" for number in range(4_000)]
    before, after = "".join(lines[:2_000]), "".join(lines[2_000:])
    now = "".join(line.replace("value", "v") for line in lines)
    assert look(
        before,
        "accepted_here(1, 2, 3)\n",
        after,
        before[:-5] + "accepted_here(1, 2)\n" + after[:-3],
    )
    assert not look(before, "accepted_here(1, 2, 3)\n", after, now)
