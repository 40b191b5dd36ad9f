"""The seeded tiny model, also as one that fills in or copies, and engines around them."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.generation import models
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model_config import N_COPY_FEATURES
from longllama_code.protocol import RememberResult
from tests.generators import finish

# A busy machine is no failure: what is timed are benchmarks, not tests.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")
torch.set_num_threads(1)  # tiny tensors: two threads wait for each other longer than they compute


@pytest.fixture(scope="session")
def tiny() -> LoadedModel:
    return models.load("tiny")


@pytest.fixture(scope="session")
def infilling(tiny: LoadedModel) -> LoadedModel:
    """Tiny with infill marks: two bytes that no text has."""
    return _with(tiny, infill_marks=[0xFE, 0xFF])


@pytest.fixture(scope="session")
def copying(tiny: LoadedModel) -> LoadedModel:
    """Tiny with a gate that copies whatever memory matches."""
    return _with(tiny, copy_gate=[20.0, *[0.0] * (N_COPY_FEATURES - 1)])


@pytest.fixture
def make_engine(tiny: LoadedModel) -> Iterator[Callable[..., Engine]]:
    """Engines of tiny, or another model, with a store in the folder given, or without one."""
    opened: list[Engine] = []

    def make(folder: Path | None = None, loaded: LoadedModel = tiny, **limits: int) -> Engine:
        store = None if folder is None else SegmentStore(folder, loaded.record_format.n_bytes)
        opened.append(Engine.create(loaded, store, **limits))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


@pytest.fixture(scope="session")
def remember() -> Callable[[Engine, str, str], RememberResult]:
    """Remember a file without a pause."""

    def run(engine: Engine, path: str, text: str) -> RememberResult:
        return finish(engine.remember(path, text))

    return run


def _with(loaded: LoadedModel, **fields: object) -> LoadedModel:
    config = {**copy.deepcopy(loaded.model.config.to_dict()), **fields}
    model = LongLlamaForCausalLM(LongLlamaConfig.from_dict(config)).eval()
    model.load_state_dict(loaded.model.state_dict())
    return replace(loaded, model=model)
