"""Reading GGUF files: what they hold, where they lie; and files that lie."""

import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from longllama_code.checkpoints.loading import config_of
from longllama_code.errors import CheckpointError
from longllama_code.gguf.fields import fields_of
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


@pytest.mark.parametrize("kind", ["linear", "yarn"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_rotary_scaling(kind: str, architecture: str, tmp_path: Path) -> None:
    entries: dict[str, Any] = {"type": kind, "factor": 4.0, "original_context_length": 16}
    own = {f"{architecture}__rope__scaling__{key}": value for key, value in entries.items()}
    path = write_model(small_model(architecture), tmp_path / "model.gguf", **own)
    scaling = config_of(GgufFile.open(path).fields).rope_parameters
    assert scaling["rope_type"] == kind
    assert scaling["factor"] == 4
    assert scaling["rope_theta"] == 1e5
    assert scaling.get("original_max_position_embeddings", 16) == 16


def _frequencies(theta: float, size: int, scaling: dict[str, Any] | None) -> np.ndarray:
    """What transformers' own formulas turn by."""
    usual = theta ** -(torch.arange(0, size, 2) / size)
    if scaling is None:
        return usual.numpy()
    parameters = {**scaling, "rope_theta": theta}
    config = LlamaConfig(
        hidden_size=size,
        num_attention_heads=1,
        max_position_embeddings=1 << 17,
        rope_parameters=parameters,
    )
    return ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))[0].numpy()


@settings(deadline=None)
@given(
    factor=st.sampled_from([2.0, 8.0, 32.0]),
    low=st.sampled_from([1.0, 2.0]),
    span=st.sampled_from([2.0, 4.0]),
    first=st.sampled_from([4096, 8192, 16384]),
    theta=st.sampled_from([10000.0, 500000.0]),
)
def test_llama_3s_scaling_is_found_from_its_factors(
    factor: float, low: float, span: float, first: int, theta: float
) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": low * span,
        "original_max_position_embeddings": first,
    }
    wanted, size = _frequencies(theta, 128, scaling), 128
    factors = (_frequencies(theta, size, None) / wanted).astype(np.float32)
    found = fields_of(Path("x"), _plain(size, theta), ["rope_freqs.weight"], factors)
    assert found["rope_scaling"]["rope_type"] == "llama3"
    ours = _frequencies(theta, size, found["rope_scaling"])
    assert np.allclose(ours, wanted, rtol=2e-3)


def _plain(size: int, theta: float) -> dict[str, Any]:
    own = {
        "embedding_length": size,
        "feed_forward_length": 8,
        "block_count": 1,
        "context_length": 1 << 17,
        "attention.head_count": 1,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": theta,
    }
    llama = {f"llama.{key}": value for key, value in own.items()}
    return {"general.architecture": "llama", "tokenizer.ggml.tokens": ["a"], **llama}


def test_factors_of_another_scaling_are_refused(tmp_path: Path) -> None:
    def strange(writer: GGUFWriter) -> None:
        writer.add_tensor("rope_freqs.weight", np.array([1, 3, 1, 2], np.float32))

    path = write_model(small_model(), tmp_path / "model.gguf", extra=strange)
    with pytest.raises(CheckpointError, match="rope_freqs unlike Llama 3's"):
        GgufFile.open(path)


def test_factors_of_llama_3_are_read_and_are_no_tensor_of_the_model(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    factors = _frequencies(1e5, 8, None) / _frequencies(1e5, 8, scaling)
    path = write_model(
        small_model(),
        tmp_path / "model.gguf",
        extra=lambda writer: writer.add_tensor("rope_freqs.weight", factors.astype(np.float32)),
    )
    file = GgufFile.open(path)
    assert file.fields["rope_scaling"] == scaling
    assert all("rope" not in tensor.name for tensor in file.tensors())


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


# Files that lie


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def tensor(
    name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0, dimensions: int | None = None
) -> bytes:
    count = struct.pack("<I", len(shape) if dimensions is None else dimensions)
    sizes = b"".join(struct.pack("<Q", size) for size in shape)
    return text(name) + count + sizes + struct.pack("<IQ", kind, offset)


def made(
    entries: list[bytes],
    tensors: list[bytes],
    n_entries: int | None = None,
    n_tensors: int | None = None,
    version: int = 3,
    data: int = 1 << 12,
) -> bytes:
    counts = (
        len(tensors) if n_tensors is None else n_tensors,
        len(entries) if n_entries is None else n_entries,
    )
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join((*entries, *tensors))
    return head + bytes(-len(head) % 32) + bytes(data)


HUGE = (1 << 63) + 5
LIES = {
    "another file": (b"PK\x03\x04" + bytes(99), "begins with b'PK"),
    "nothing": (b"", "not a readable GGUF file"),
    "only the magic": (b"GGUF", "no room for a number"),
    "version 1": (made([], [], version=1), "version 1 "),
    "another byte order": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "byte order"),
    "tensors without end": (made([], [], n_tensors=HUGE), f"claims {HUGE} tensors"),
    "entries without end": (made([], [], n_entries=HUGE), f"claims {HUGE} entries"),
    "fewer entries than claimed": (made([], [], n_entries=9, data=0), "no room"),
    "a long text": (made([entry("a", 8, struct.pack("<Q", HUGE))], []), "no room for the value"),
    "a long key": (made([struct.pack("<Q", HUGE)], [], n_entries=1), "no room for a key"),
    "a long array of numbers": (
        made([entry("a", 9, struct.pack("<IQ", 0, HUGE))], []),
        f"no room for the {HUGE} numbers",
    ),
    "a long array of texts": (
        made([entry("a", 9, struct.pack("<IQ", 8, HUGE))], []),
        f"no room for the {HUGE} texts",
    ),
    "an array of arrays": (made([entry("a", 9, struct.pack("<IQ", 9, 1))], []), "array of type 9"),
    "an unknown value": (made([entry("a", 99, b"")], []), "unknown type 99"),
    "a key twice": (made([entry("a", 0, b"1"), entry("a", 0, b"1")], []), "names 'a' twice"),
    "a text that is none": (
        made([entry("a", 8, struct.pack("<Q", 2) + b"\xff\xfe")], []),
        "no UTF-8",
    ),
    "a tensor without dimensions": (made([], [tensor("t", ())]), "'t' with 0 dimensions"),
    "dimensions without end": (
        made([], [tensor("t", (1,), dimensions=1 << 31)]),
        "'t' with 2147483648 dimensions",
    ),
    "a tensor without numbers": (made([], [tensor("t", (0, 4))]), r"'t' of shape \(4, 0\)"),
    "a tensor past the end": (
        made([], [tensor("t", (1 << 40, 1 << 40))]),
        "tensor 't' at 4835703278458516698824",
    ),
    "rows of half a block": (made([], [tensor("t", (33,), kind=2)]), "not in blocks of 32"),
    "an unknown type": (made([], [tensor("t", (32,), kind=77)]), "'t' of type 77"),
    "a place off the alignment": (made([], [tensor("t", (8,), offset=8)]), "off its own alignment"),
    "a place past the end": (made([], [tensor("t", (8,), offset=1 << 62)]), "ends at"),
    "tensors in each other": (
        made([], [tensor("t", (32,)), tensor("u", (32,), offset=32)]),
        "'t' reaching into 'u'",
    ),
    "a tensor twice": (
        made([], [tensor("t", (8,)), tensor("t", (8,), offset=32)]),
        "2 tensors of only 1 names",
    ),
    "an alignment of 3": (
        made([entry("general.alignment", 4, struct.pack("<I", 3))], []),
        "general.alignment 3",
    ),
    "an alignment that is a text": (
        made([entry("general.alignment", 8, text("32"))], []),
        "general.alignment '32'",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_at_once(name: str, tmp_path: Path) -> None:
    content, message = LIES[name]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_header(path)


@settings(max_examples=300, deadline=2000)
@given(data=st.data())
def test_damage_anywhere_gives_a_model_or_a_clear_error(
    data: st.DataObject, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Bytes changed in the header, or an end cut off: never another error, a wait or a crash."""
    header = min(place.start for place in read_header(whole).tensors)
    broken = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, header))
        some = data.draw(st.sampled_from([b"\x00", b"\xff", b"\xff" * 8, b"\x7f", b"\x01"]))
        broken[at : at + len(some)] = some
    path = tmp_path_factory.mktemp("broken") / "model.gguf"
    path.write_bytes(broken[: data.draw(st.sampled_from([len(broken), header, header // 2, 40]))])
    with suppress(CheckpointError):
        for each in GgufFile.open(path).tensors():
            assert each.floats().shape == each.shape


@settings(deadline=None, max_examples=30)
@given(share=st.floats(0, 0.999))
def test_a_file_that_was_not_fetched_whole_is_refused(
    share: float, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "model.gguf"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(CheckpointError):
        GgufFile.open(path)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": ({"llama__block_count": None}, "llama.block_count None"),
    "no vocabulary": ({"tokenizer__ggml__tokens": None}, "no tokenizer.ggml.tokens"),
    "layers that are not there": ({"llama__block_count": 3}, "lacks 9 tensors"),
    "layers without end": ({"llama__block_count": 1 << 30}, "claims 1073741824 layers"),
    "fewer layers": ({"llama__block_count": 1}, "contradicts its configuration"),
    "another width": ({"llama__feed_forward_length": 64}, "contradicts its configuration"),
    "no heads": ({"llama__attention__head_count": 0}, "head_count 0"),
    "a number of keys": ({"llama__attention__head_count_kv": 3}, "4 query heads and 3 key heads"),
    "heads a layer": ({"llama__attention__head_count": [4, 4]}, "head_count"),
    "experts a layer": ({"llama__expert_count": [4, 4]}, "expert_count an array of 2"),
    "windows a layer": ({"llama__attention__sliding_window": [4, 0]}, "window 'an array of 2'"),
    "parts a layer": ({"split__no": [1, 1]}, "says it is part an array of 2"),
    "rotation of a part": ({"llama__rope__dimension_count": 4}, "rope.dimension_count 4"),
    "other values": ({"llama__attention__value_length": 4}, "attention.value_length 4"),
    "experts": ({"llama__expert_count": 8}, "expert_count 8"),
    "no end": ({"llama__rope__freq_base": float("nan")}, "rope.freq_base nan"),
    "a name": ({"llama__attention__layer_norm_rms_epsilon": "small"}, "epsilon 'small'"),
    "another scaling": ({"llama__rope__scaling__type": "longrope"}, "scaling.type 'longrope'"),
    "a token that is none": ({"tokenizer__ggml__eos_token_id": 259}, "eos_token_id 259 of 259"),
}


@pytest.mark.parametrize("name", WRONG)
def test_metadata_that_mean_another_model_are_refused(name: str, tmp_path: Path) -> None:
    entries, message = WRONG[name]
    path = write_model(small_model(), tmp_path / "model.gguf", **entries)
    with pytest.raises(CheckpointError, match=message):
        GgufFile.open(path)


def test_other_architectures_tensors_and_types_are_refused(tmp_path: Path) -> None:
    path = write_model(small_model(), tmp_path / "a.gguf", architecture="gemma")
    with pytest.raises(CheckpointError, match="architecture 'gemma'; only llama, mistral, qwen2"):
        GgufFile.open(path)

    def router(writer: GGUFWriter) -> None:
        writer.add_tensor("blk.0.attn_q_norm.weight", np.ones(8, np.float32))

    path = write_model(small_model(), tmp_path / "b.gguf", extra=router)
    with pytest.raises(CheckpointError, match=r"blk\.0\.attn_q_norm\.weight"):
        GgufFile.open(path)

    path = tmp_path / "c.gguf"
    model = small_model(**LARGE)
    unread = Kind.Q8_K
    assert not can_dequantize(unread)
    write_model(model, path, kind_of=lambda name: unread if "embed" in name else Kind.F32)
    with pytest.raises(CheckpointError, match="type Q8_K, which the gguf package here cannot"):
        GgufFile.open(path)


def test_a_gguf_is_told_by_its_first_bytes(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "sha256-abc").write_bytes(whole.read_bytes())
    (tmp_path / "notes.txt").write_text("GGU")
    assert is_gguf(tmp_path / "sha256-abc")
    assert not is_gguf(tmp_path / "notes.txt")
    assert not is_gguf(tmp_path)
    assert not is_gguf(tmp_path / "none")
