"""Reading GGUF files: their fields and tensors, whole and in parts."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter

from longllama_code.checkpoints.loading import config_of
from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import (
    GgufFile,
    can_dequantize,
    hf_name,
    is_gguf,
    unpermute,
)
from longllama_code.gguf.header import read_header
from tests.gguf.writing import (
    LARGE,
    MODELS,
    finish,
    small_model,
    write_model,
)

READ = [kind for kind in Kind if can_dequantize(kind)]
NAMED = "F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's file."""
    return write_model(small_model(), tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", MODELS)
def test_a_file_says_what_its_model_is(kind: str, tied: bool, tmp_path: Path) -> None:
    model = small_model(kind, tie_word_embeddings=tied)
    fields = GgufFile.open(write_model(model, tmp_path / "model.gguf")).fields
    assert fields["model_type"] == kind
    ours, theirs = config_of(fields).to_dict(), config_of(model.config.to_dict()).to_dict()
    assert ours.pop("rms_norm_eps") == pytest.approx(theirs.pop("rms_norm_eps"))
    for name in ("dtype", "architectures", "head_dim", "initializer_range"):
        ours.pop(name, None), theirs.pop(name, None)
    assert ours == theirs


@pytest.mark.parametrize("kind", MODELS)
def test_tensors_are_those_of_the_model(kind: str, tmp_path: Path) -> None:
    model = small_model(kind)
    file = GgufFile.open(write_model(model, tmp_path / "model.gguf"))
    found = {tensor.name: tensor for tensor in file.tensors()}
    assert found.keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert found[name].shape == tuple(weight.shape)
        assert np.array_equal(found[name].floats(), weight.numpy())


def test_biases_of_a_llama_are_found_and_put_in_order(tmp_path: Path) -> None:
    model = small_model(attention_bias=True, mlp_bias=True)
    file = GgufFile.open(write_model(model, tmp_path / "model.gguf"))
    assert file.fields["attention_bias"]
    assert file.fields["mlp_bias"]
    for tensor in file.tensors():
        assert np.array_equal(tensor.floats(), model.state_dict()[tensor.name].numpy())


def test_the_types_that_people_have_are_all_read() -> None:
    assert set(NAMED.split()) <= {kind.name for kind in READ}
    assert not can_dequantize(Kind.I32)


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_every_type_reads_as_ggufs_own_reader_has_it(kind: Kind, tmp_path: Path) -> None:
    path = write_model(small_model(**LARGE), tmp_path / "model.gguf", kind_of=lambda _: kind)
    theirs = {hf_name(tensor.name): tensor for tensor in GGUFReader(path).tensors}
    heads = {"q_proj": 4, "k_proj": 1}
    for tensor in GgufFile.open(path).tensors():
        plain = gguf.dequantize(theirs[tensor.name].data, theirs[tensor.name].tensor_type)
        of_tensor = heads.get(tensor.name.split(".")[-2])
        wanted = plain if of_tensor is None else unpermute(plain, of_tensor)
        assert tensor.kind == theirs[tensor.name].tensor_type
        assert tensor.floats().tobytes() == wanted.astype(np.float32).tobytes()
        again = gguf.dequantize(tensor.blocks, tensor.kind).reshape(tensor.shape)
        assert again.tobytes() == tensor.floats().tobytes()
        assert np.isfinite(wanted).all()


def test_blocks_are_the_files_own_memory_but_where_rows_move(tmp_path: Path) -> None:
    path = write_model(small_model(**LARGE), tmp_path / "model.gguf", kind_of=lambda _: Kind.Q8_0)
    for tensor in GgufFile.open(path).tensors():
        base: Any = tensor.blocks
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        assert (type(base).__name__ == "mmap") == tensor.is_mapped
        assert tensor.is_mapped == (tensor.name.split(".")[-2] not in ("q_proj", "k_proj"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_large_file_is_opened_without_being_read(tmp_path: Path) -> None:
    """In a process of its own: 1 GiB of weights, of which nothing may become resident."""
    path, n_bytes = tmp_path / "model.gguf", 1 << 30
    rows = n_bytes // 4 // 256
    writer = GGUFWriter(path, "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a"])
    writer.add_tensor_info("token_embd.weight", (rows, 256), np.dtype(np.float32), n_bytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        file.truncate((path.stat().st_size + 31) // 32 * 32 + n_bytes)
    code = f"""
        from pathlib import Path
        from longllama_code.gguf.header import read_header
        header = read_header(Path({str(path)!r}))
        assert header.rows(header.tensors[0]).shape == ({rows}, 1024)
        peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(peak.split()[1])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert int(done.stdout) << 10 < n_bytes // 2


def test_a_sliding_window_makes_a_llama_a_mistral(tmp_path: Path) -> None:
    path = write_model(small_model(), tmp_path / "model.gguf", llama__attention__sliding_window=24)
    fields = GgufFile.open(path).fields
    assert (fields["model_type"], fields["sliding_window"]) == ("mistral", 24)
    assert config_of(fields).window == 24


# Split files


def write_parts(folder: Path, n_parts: int = 3) -> list[Path]:
    """A model in parts: metadata in the first, tensors dealt out."""
    source = read_header(write_model(small_model(), folder / "whole.gguf"))
    paths = []
    for part in range(n_parts):
        path = folder / f"tiny-{part + 1:05d}-of-{n_parts:05d}.gguf"
        writer = GGUFWriter(path, "llama")
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", n_parts)
        for key, value in source.metadata.items() if part == 0 else ():
            if key != "general.architecture":
                listed = value.tolist() if isinstance(value, np.ndarray) else value
                _add(writer, key, listed)
        for place in source.tensors[part::n_parts]:
            writer.add_tensor(place.name, source.rows(place).view(np.float32).reshape(place.shape))
        paths.append(finish(writer))
    return paths


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    kinds: dict[type, Callable[[str, Any], None]] = {
        list: writer.add_array,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
    }
    kinds[type(value)](key, value)


def test_a_split_file_is_one_model_by_any_of_its_names(tmp_path: Path) -> None:
    paths = write_parts(tmp_path)
    link = tmp_path / "elsewhere.gguf"
    link.symlink_to(paths[0])
    wanted = small_model().state_dict()
    for path in (paths[0], link):
        file = GgufFile.open(path)
        assert file.paths == tuple(paths)
        found = {tensor.name: tensor.floats() for tensor in file.tensors()}
        assert found.keys() == wanted.keys()
        assert all(np.array_equal(found[name], wanted[name].numpy()) for name in wanted)


def test_a_part_that_is_missing_or_in_another_place_is_named(tmp_path: Path) -> None:
    paths = write_parts(tmp_path)
    alone = tmp_path / "alone.gguf"
    alone.write_bytes(paths[0].read_bytes())
    with pytest.raises(CheckpointError, match=r"alone\.gguf says it is part 0 .* of 3"):
        GgufFile.open(alone)
    paths[1].unlink()
    with pytest.raises(CheckpointError, match="tiny-00002-of-00003"):
        GgufFile.open(paths[0])
    paths[1].write_bytes(paths[2].read_bytes())
    with pytest.raises(CheckpointError, match=r"tiny-00002-of-00003\.gguf says it is part 2"):
        GgufFile.open(paths[0])


def test_a_gguf_is_told_by_its_first_bytes(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "sha256-abc").write_bytes(whole.read_bytes())
    (tmp_path / "notes.txt").write_text("GGU")
    assert is_gguf(tmp_path / "sha256-abc")
    assert not is_gguf(tmp_path / "notes.txt")
    assert not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "none")
