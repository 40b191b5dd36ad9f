"""What an evaluation encoded is there for the next one, and is the same."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longllama_code.commands import evaluation_trees
from longllama_code.generation import models
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.research.evaluation.memories import encode_files, with_segment_cache

TEXTS = {name: f"def {name}_one():\n    return {name}\n" * 30 for name in ("a.py", "b.py")}


@pytest.fixture
def kept(tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    return with_segment_cache(tiny)


def test_a_second_evaluation_encodes_nothing(
    kept: LoadedModel, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode_files(kept, TEXTS)
    monkeypatch.setattr(SegmentEncoder, "encode", None)
    again = encode_files(with_segment_cache(tiny), TEXTS)
    assert [file.path for file in again] == [file.path for file in first]
    for one, other in zip(first, again, strict=True):
        for mine, theirs in zip(one.segments, other.segments, strict=True):
            assert mine.id == theirs.id
            for part in ("keys", "values", "ids", "page_offsets"):
                assert torch.equal(getattr(mine, part), getattr(theirs, part))


def test_another_model_has_another_folder(kept: LoadedModel, tmp_path: Path) -> None:
    encode_files(kept, TEXTS)
    other = with_segment_cache(replace(kept, fingerprint="another one / with marks"))
    assert other.kept is not None
    assert other.kept.totals()[0] == 0
    assert len([*(tmp_path / "evaluation").iterdir()]) == 2


@pytest.mark.parametrize(("anew", "model"), [(False, "x"), (True, "x"), (False, "tiny")])
def test_the_commands_keep_unless_told_otherwise(
    tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anew: bool, model: str
) -> None:
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "load", lambda _: tiny)
    options = argparse.Namespace(model=model, no_copying=False, encode_anew=anew)
    loaded = evaluation_trees.model_of(options)
    assert (loaded.kept is not None) == (model == "x" and not anew)
