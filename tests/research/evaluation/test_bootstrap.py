"""Intervals: around the mean, repeatable, wide where files differ, and true as often as claimed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.research.evaluation.bootstrap import Interval, Share, interval

SHARES = st.lists(st.builds(Share, st.floats(-9, 9), st.integers(1, 9)), min_size=2, max_size=9)


@given(SHARES, st.integers(0, 99))
def test_an_interval_is_a_function_of_shares_and_seed(shares: list[Share], seed: int) -> None:
    found = interval(shares, seed)
    assert found == interval(list(shares), seed)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.high
    means = [share.total / share.count for share in shares]
    assert min(means) - 1e-9 <= found.low <= found.high <= max(means) + 1e-9


def test_seeds_differ() -> None:
    shares = [Share(float(n * n), 1) for n in range(20)]
    assert interval(shares, 0) != interval(shares, 1)


def test_without_two_files_there_is_no_interval() -> None:
    assert interval([], 0) is None
    assert interval([Share(0.0, 0)], 0) is None
    assert interval([Share(3.0, 4), Share(0.0, 0)], 0) == Interval(0.75, None, None, 4)


def test_a_file_weighs_by_its_lines() -> None:
    found = interval([Share(9.0, 9), Share(0.0, 1)], 0)
    assert found is not None
    assert found.mean == 0.9


def test_lines_of_a_file_are_drawn_together() -> None:
    """Ten equal lines in each of two files tell no more than one line in each."""
    one, ten = interval([Share(0, 1), Share(1, 1)], 5), interval([Share(0, 10), Share(10, 10)], 5)
    assert one is not None
    assert ten is not None
    assert (one.low, one.high) == (ten.low, ten.high) == (0, 1)


def test_an_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(3)
    n_trials, covered = 120, 0
    for trial in range(n_trials):
        shares = [Share(float(value), 1) for value in rng.normal(2.0, 1.0, 40)]
        found = interval(shares, trial)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 2.0 <= found.high
    assert 0.88 <= covered / n_trials <= 1.0
    assert covered < n_trials
