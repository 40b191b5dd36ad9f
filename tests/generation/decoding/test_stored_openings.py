"""Openings on disk: the same after a restart, none where damaged or of another shape, bounded."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.decoding import stored_openings
from longllama_code.generation.decoding.stored_openings import (
    LEAST_TOKENS,
    SUFFIX,
    KeptOpenings,
    Opening,
)
from longllama_code.generation.models import tiny_config

IDS = list(range(LEAST_TOKENS))


def plain_config() -> LongLlamaConfig:
    return LongLlamaConfig.from_dict({**tiny_config().to_dict(), "mem_layers": [], "mem_heads": {}})


def opening(n_ids: int = LEAST_TOKENS, seed: int = 0) -> Opening:
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 3, 2, n_ids, 16, generator=generator)
    return Opening(keys, values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "openings"


def test_an_opening_survives_the_process(folder: Path) -> None:
    KeptOpenings(folder, plain_config()).put(IDS, opening())
    kept = KeptOpenings(folder, plain_config())
    assert kept.has(IDS)
    found = kept.get(IDS)
    assert found is not None
    assert torch.equal(found.keys, opening().keys)
    assert torch.equal(found.values, opening().values)
    assert kept.get([*IDS[:-1], 999]) is None


def test_without_a_folder_or_with_layers_that_attend_to_memory_nothing_is_kept(
    folder: Path,
) -> None:
    for kept in (KeptOpenings(None, plain_config()), KeptOpenings(folder, tiny_config())):
        kept.put(IDS, opening())
        assert not kept.has(IDS)
        assert kept.get(IDS) is None
    assert not folder.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 20_000), noise=st.binary(max_size=40))
def test_a_damaged_file_is_as_good_as_none(folder: Path, cut: int, noise: bytes) -> None:
    kept = KeptOpenings(folder, plain_config())
    kept.put(IDS, opening())
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:cut] + noise)
    found = kept.get(IDS)
    assert found is None or (found.keys.shape == found.values.shape == opening().keys.shape)
    kept.put(IDS, opening())
    assert kept.get(IDS) is not None


def test_another_models_shape_is_refused(folder: Path) -> None:
    KeptOpenings(folder, plain_config()).put(IDS, opening())
    fields = {**plain_config().to_dict(), "num_hidden_layers": 2}
    assert KeptOpenings(folder, LongLlamaConfig.from_dict(fields)).get(IDS) is None


def test_what_was_used_longest_ago_goes(folder: Path) -> None:
    size = opening().keys.nbytes * 2
    kept = KeptOpenings(folder, plain_config(), max_bytes=int(2.5 * size))
    others = [[*IDS[:-1], 1000 + number] for number in range(3)]
    kept.put(others[0], opening(seed=1))
    kept.put(others[1], opening(seed=2))
    assert kept.get(others[0]) is not None  # used again
    kept.put(others[2], opening(seed=3))
    assert [kept.has(ids) for ids in others] == [True, False, True]


def test_a_full_disk_is_no_failure(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file in the folder's place")
    kept = KeptOpenings(folder, plain_config())
    kept.put(IDS, replace(opening()))
    assert kept.get(IDS) is None
    assert "cannot be stored" in caplog.text


def test_a_disk_that_fails_while_a_file_is_written_is_no_failure(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library that writes raises an error of its own."""
    monkeypatch.setattr(stored_openings, "save_file", save_nowhere)
    kept = KeptOpenings(folder, plain_config())
    kept.put(IDS, opening())
    assert "cannot be stored: Error while serializing: I/O error" in caplog.text
    assert list(folder.iterdir()) == []


def save_nowhere(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.write_bytes(b"half of it")
    save_file(tensors, path.parent / "no-such-folder" / path.name)


def test_an_opening_that_another_process_removes_is_no_failure(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = opening().keys.nbytes * 2
    kept = KeptOpenings(folder, plain_config(), max_bytes=2 * size)
    kept.put(IDS, opening())
    (folder / f"gone{SUFFIX}").symlink_to(folder / "nowhere")  # found, and gone when looked at
    kept.put(IDS[::-1], opening(seed=1))
    assert kept.has(IDS[::-1])
    assert caplog.text == ""


def test_clearing_leaves_none_and_tells_their_size(folder: Path) -> None:
    kept = KeptOpenings(folder, plain_config())
    assert kept.clear() == 0
    kept.put(IDS, opening())
    kept.put(IDS[::-1], opening(seed=1))
    (folder / "x.1.part").write_bytes(bytes(7))
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    assert kept.clear() == n_bytes > 7
    assert list(folder.iterdir()) == []
    assert kept.get(IDS) is None
    kept.put(IDS, opening())
    assert kept.has(IDS)
