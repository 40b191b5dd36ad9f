"""Weights that are woven while an engine is imported: the same as those woven when it is loaded."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind

from longllama_code.checkpoints import weaving_ahead
from longllama_code.checkpoints.blocks import load_for_kernels
from longllama_code.checkpoints.weaving_ahead import begin, opened
from longllama_code.engine_options import EngineOptions
from longllama_code.errors import CheckpointError
from longllama_code.generation import ahead
from longllama_code.gguf.file import GGUF_NAME, GgufFile
from longllama_code.kernels.matrices import blocks
from longllama_code.kernels.matrices.blocks import BlockMatrix, BlockRows
from longllama_code.kernels.matrices.room import Room
from longllama_code.kernels.matrices.weaving_together import weave_together
from longllama_code.kernels.weaving import Bytes, shape_of_woven, weave
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.caches import LongLlamaCache
from longllama_code.paths import TABLE_FILE
from tests.checkpoints.test_blocks import IDS, write_folder

PANELS = pytest.mark.parametrize("kind", ["llama", "qwen2"])


@pytest.fixture(autouse=True)
def _weaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have weights woven on any CPU; those without such products only skip using them."""
    monkeypatch.setattr(weaving_ahead, "HAS_BYTE_DOTS", True)


def results(folder: Path) -> np.ndarray:
    """Hidden states of a folder's model, run by kernels."""
    model = load_for_kernels(folder)
    assert model is not None
    kernels = KernelModel(model, 2)
    return kernels.run(IDS, LongLlamaCache(model.config, spills=False), None).numpy()


@PANELS
@pytest.mark.parametrize(("is_tied", "batch_bytes"), [(False, 1), (True, 1), (True, 1 << 30)])
def test_results_are_the_same_to_the_bit(
    kind: str, is_tied: bool, batch_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaving_ahead, "BATCH_BYTES", batch_bytes)
    folder = write_folder(tmp_path / "model", kind, tie_word_embeddings=is_tied)
    before = results(folder)
    begin(folder / GGUF_NAME, 2)
    assert np.array_equal(results(folder), before)
    assert not weaving_ahead._begun


@PANELS
def test_every_matrix_that_is_multiplied_is_woven_and_no_other(kind: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path / "model", kind, tie_word_embeddings=False) / GGUF_NAME
    begin(path, 1)
    file = opened(path)
    for tensor in file.file.tensors():
        rows = file.rows(tensor) if len(tensor.shape) == 2 else None
        if rows is None or tensor.name == "model.embed_tokens.weight":
            assert tensor.name not in file.woven
        else:
            assert rows.woven is not None
            kind_number, rows_blocks = rows.known
            alone = np.zeros(shape_of_woven(kind_number, *rows_blocks.shape), np.uint8)
            weave(kind_number, rows_blocks, alone)
            assert np.array_equal(rows.woven.result(), alone)


def test_what_no_thread_has_begun_is_woven_by_the_one_that_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocks, "HAS_BYTE_DOTS", True)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 99, (32, 34), dtype=np.uint8)
    woven = Future[Bytes]()
    matrix = BlockMatrix([BlockRows("Q8_0", codes, 32, woven)])
    assert woven.cancelled()
    alone = BlockMatrix([BlockRows("Q8_0", codes, 32)])
    assert np.array_equal(matrix._weights[0], alone._weights[0])
    assert BlockMatrix([BlockRows("Q8_0", codes, 32, woven)]).nbytes == codes.nbytes


def test_what_was_cancelled_is_not_woven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_folder(tmp_path / "model") / GGUF_NAME
    goes_on, n_woven = Event(), list[int]()

    def wait(rows: Sequence[tuple[int, Bytes]], room: Room) -> list[Bytes]:
        goes_on.wait(60)
        n_woven.append(len(rows))
        return weave_together(rows, room)

    monkeypatch.setattr(weaving_ahead, "weave_together", wait)
    monkeypatch.setattr(weaving_ahead, "BATCH_BYTES", 1)
    begin(path, 1)
    first, *others = opened(path).woven.values()
    while not first.running():
        time.sleep(0.01)
    assert all(other.cancel() for other in others[:-1])
    goes_on.set()
    assert others[-1].result(60).size
    assert sum(n_woven) == 2


def test_an_error_is_raised_where_the_weights_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[Bytes]:
        raise MemoryError("no room")

    monkeypatch.setattr(weaving_ahead, "weave_together", fail)
    path = write_folder(tmp_path / "model") / GGUF_NAME
    begin(path, 1)
    for woven in opened(path).woven.values():
        with pytest.raises(MemoryError, match="no room"):
            woven.result(60)


def test_a_damaged_file_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / GGUF_NAME
    path.write_bytes(b"GGUF and no more")
    begin(path, 1)
    with pytest.raises(CheckpointError, match=r"GGUF of version"):
        opened(path)


def test_a_file_that_kernels_cannot_read_is_only_opened(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "model", kind_of=lambda _: Kind.F16) / GGUF_NAME
    begin(path, 1)
    assert opened(path).woven == {}


def test_a_cpu_that_reads_blocks_opens_the_file_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weaving_ahead, "HAS_BYTE_DOTS", False)
    path = write_folder(tmp_path / "model") / GGUF_NAME
    begin(path, 1)
    assert not weaving_ahead._begun
    assert isinstance(opened(path).file, GgufFile)


CHANGES: dict[str, Callable[[str], EngineOptions]] = {
    "a gpu": lambda model: EngineOptions(model, device="cuda"),
    "another type": lambda model: EngineOptions(model, dtype="float32"),
    "fewer bits": lambda model: EngineOptions(f"{model}:int4"),
    "no such model": lambda model: EngineOptions(f"{model}-2"),
    "tiny": lambda _: EngineOptions("tiny"),
}


def begun(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that are woven for an engine with some options."""
    paths = list[Path]()
    monkeypatch.setattr(weaving_ahead, "begin", lambda path, _: paths.append(path))
    ahead.begin(options)
    return paths


def test_an_engine_for_kernels_has_its_weights_woven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "model")
    assert begun(EngineOptions(str(folder)), monkeypatch) == [folder / GGUF_NAME]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_engines_have_nothing_woven(
    change: Callable[[str], EngineOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begun(change(str(write_folder(tmp_path / "model"))), monkeypatch) == []


def test_a_table_of_memory_heads_is_no_file_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / TABLE_FILE).touch()
    assert begun(EngineOptions(str(folder)), monkeypatch) == [folder / GGUF_NAME]


def test_weights_that_are_preferred_to_a_gguf_file_leave_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "model")
    (folder / "model.safetensors").touch()
    assert begun(EngineOptions(str(folder)), monkeypatch) == []
