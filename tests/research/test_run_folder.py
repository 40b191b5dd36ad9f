"""The folder of a run: another run is refused, and records after a checkpoint are made again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.errors import ConfigError
from longllama_code.research.run_folder import append_record, claim, cut_records, read_records


def test_the_same_run_goes_on(tmp_path: Path) -> None:
    claim(tmp_path / "run", {"rate": 0.1, "betas": (0.9, 0.95)})
    claim(tmp_path / "run", {"rate": 0.1, "betas": (0.9, 0.95)})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_another_run_is_refused_by_name_and_value(tmp_path: Path) -> None:
    claim(tmp_path, {"rate": 0.1, "seed": 7})
    with pytest.raises(ConfigError, match=r"rate 0\.1, and this one has 0\.2"):
        claim(tmp_path, {"rate": 0.2, "seed": 7})


def test_what_may_change_may_change(tmp_path: Path) -> None:
    claim(tmp_path, {"rate": 0.1, "minutes": 5})
    claim(tmp_path, {"rate": 0.1, "minutes": 9}, may_change=("minutes",))


def test_an_option_added_later_had_its_default(tmp_path: Path) -> None:
    claim(tmp_path, {"rate": 0.1})
    claim(tmp_path, {"rate": 0.1, "depth": 3}, defaults={"rate": 0.5, "depth": 3})
    with pytest.raises(ConfigError, match="depth 3"):
        claim(tmp_path, {"rate": 0.1, "depth": 4}, defaults={"rate": 0.5, "depth": 3})


@given(n_records=st.integers(0, 9), end=st.integers(-1, 10), unfinished=st.booleans())
def test_records_up_to_a_checkpoint_stay(
    tmp_path_factory: pytest.TempPathFactory, n_records: int, end: int, unfinished: bool
) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    assert read_records(path) == []
    for step in range(n_records):
        append_record(path, {"step": step, "loss": step / 2})
    if unfinished:
        with path.open("a") as file:
            file.write('{"step": 3, "lo')
    cut_records(path, "step", end)
    assert [record["step"] for record in read_records(path)] == [*range(min(n_records, end + 1))]
