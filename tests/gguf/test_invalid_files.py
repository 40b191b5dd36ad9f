"""GGUF files that lie about themselves, are damaged, or are of a model that is not read."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.errors import CheckpointError
from longllama_code.gguf.file import GgufFile, can_dequantize
from longllama_code.gguf.header import read_header
from tests.gguf.writing import LARGE, small_model, write_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's file."""
    return write_model(small_model(), tmp_path_factory.mktemp("gguf") / "tiny.gguf")


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
        'general.alignment "32"',
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
    "no layers": ({"llama__block_count": None}, "llama.block_count null"),
    "no vocabulary": ({"tokenizer__ggml__tokens": None}, "no tokenizer.ggml.tokens"),
    "layers that are not there": ({"llama__block_count": 3}, "lacks 9 tensors"),
    "layers without end": ({"llama__block_count": 1 << 30}, "claims 1073741824 layers"),
    "fewer layers": ({"llama__block_count": 1}, "contradicts its configuration"),
    "another width": ({"llama__feed_forward_length": 64}, "contradicts its configuration"),
    "no heads": ({"llama__attention__head_count": 0}, "head_count 0"),
    "a number of keys": ({"llama__attention__head_count_kv": 3}, "4 query heads and 3 key heads"),
    "heads a layer": ({"llama__attention__head_count": [4, 4]}, "head_count"),
    "experts a layer": ({"llama__expert_count": [4, 4]}, "expert_count an array of 2"),
    "windows a layer": ({"llama__attention__sliding_window": [4, 0]}, 'window "an array of 2"'),
    "parts a layer": ({"split__no": [1, 1]}, "says it is part an array of 2"),
    "rotation of a part": ({"llama__rope__dimension_count": 4}, "rope.dimension_count 4"),
    "other values": ({"llama__attention__value_length": 4}, "attention.value_length 4"),
    "experts": ({"llama__expert_count": 8}, "expert_count 8"),
    "no end": ({"llama__rope__freq_base": float("nan")}, "rope.freq_base NaN"),
    "a name": ({"llama__attention__layer_norm_rms_epsilon": "small"}, 'epsilon "small"'),
    "another scaling": ({"llama__rope__scaling__type": "longrope"}, 'scaling.type "longrope"'),
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
    with pytest.raises(CheckpointError, match='architecture "gemma"; only llama, mistral, qwen2'):
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
