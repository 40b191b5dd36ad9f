"""Shares, differences, ratios and quantiles, with their intervals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_server.benchmarks.reporting.statistics import compare, quantile, share

COUNTS = st.dictionaries(
    st.sampled_from("abcde"),
    st.tuples(st.integers(0, 9), st.integers(1, 9)) | st.just((0, 0)),
    min_size=1,
)


@given(COUNTS)
def test_a_share_is_the_mean_over_all_and_lies_in_its_interval(counts):
    found = share(counts)
    total, count = (sum(each[index] for each in counts.values()) for index in (0, 1))
    assert (found is None) == (count == 0)
    if found is not None:
        assert (found.mean, found.count) == (pytest.approx(total / count), count)
        assert (found.low is None) == (sum(each[1] > 0 for each in counts.values()) < 2)
    if found is not None and found.low is not None:
        assert found.low <= found.high


@given(COUNTS)
def test_a_condition_compared_with_itself_is_no_better(counts):
    difference, ratio = (compare(counts, counts, kind) for kind in ("difference", "ratio"))
    total, count = (sum(each[index] for each in counts.values()) for index in (0, 1))
    assert (difference is not None) == (count > 0)
    assert (ratio is not None) == (count > 0 and total > 0)
    if difference is not None:
        assert difference.mean == 0.0
        assert difference.low in (0.0, None)
    if ratio is not None:
        assert ratio.mean == pytest.approx(1.0)


def test_a_ratio_to_nothing_is_not_defined():
    assert compare({"a": (1, 2)}, {"a": (0, 2)}, "ratio") is None
    assert compare({"a": (1, 2)}, {"b": (1, 2)}, "difference") is None


@settings(max_examples=20)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(0, 1e6), max_size=5)))
def test_a_quantile_is_of_all_values(values):
    every = sorted(value for each in values.values() for value in each)
    found = quantile(values, 1.0)
    assert (found.mean, found.count) == (every[-1], len(every)) if every else found is None
    if found is not None and found.low is not None:
        assert found.low <= found.high <= found.mean
