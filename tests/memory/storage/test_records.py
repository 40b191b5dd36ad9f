"""Records keep what a format promises, and cost what it says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.config import LongLlamaConfig
from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.generation.models import tiny_config
from longllama_code.memory.segments.segment import EncodedSegment
from longllama_code.memory.storage.records import LINE_BYTES, RecordFormat
from longllama_code.memory.storage.table import MemoryTable, nearest, round_queries
from longllama_code.model_config import MEM_FORMATS
from longllama_code.paths import TABLE_FILE
from tests.memory.retrieval.tables import D, H, keys_like, table_of

FORMATS = ("int8", "int8-int5", "int8-int4", "int4")


def segment(n_tokens: int, seed: int = 0) -> EncodedSegment:
    keys = keys_like(n_tokens, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    values = torch.randn(H, n_tokens, D, generator=generator) * 3
    ids = torch.randint(70_000, (n_tokens,), generator=generator).int()
    return EncodedSegment("0" * 32, keys, values, ids, torch.tensor([0, 9]).int())


def config(**fields: object) -> LongLlamaConfig:
    return LongLlamaConfig.from_dict({**tiny_config().to_dict(), **fields})


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_floats_are_kept_as_they_are(dtype: str) -> None:
    form = RecordFormat.of(config(mem_dtype=dtype), None)
    one = segment(20)
    records = form.pack(one)
    again = form.unpack(one.id, records, one.page_offsets.tolist())
    kind = getattr(torch, dtype)
    assert torch.equal(again.keys, one.keys.to(kind))
    assert torch.equal(again.values, one.values.to(kind))
    assert torch.equal(again.ids, one.ids)
    assert torch.equal(again.page_offsets, one.page_offsets)
    assert records.shape == (20, form.n_bytes)


@pytest.mark.parametrize("name", FORMATS)
def test_integers_are_as_near_as_their_steps(name: str) -> None:
    table = table_of()
    form = RecordFormat.of(config(mem_format=name), table)
    one = segment(200)
    records, rows = form.pack(one), torch.arange(200)
    again = form.unpack(one.id, records, [0])
    assert torch.equal(again.ids, one.ids)
    clusters = table.clusters(table.turned(one.keys))
    assert torch.equal(form.clusters(records), clusters.int())
    bits = MEM_FORMATS[name]
    for head in range(H):
        values = form.values(records, rows, head)
        span = one.values[head].amax(1) - one.values[head].amin(1)
        worst = (values - one.values[head]).abs().amax(1)
        assert bool((worst <= 0.51 * span / (2 ** bits[1] - 1) + 0.004 * span).all())
        # Within the range of the codes, a turned key is half a step off at most.
        turned = table.turned(one.keys)[head]
        found = table.turned(form.keys(records, rows, head)[None].expand(H, -1, -1))[head]
        residual = turned - table.centroids[head, clusters[head]]
        step = table.spread[head] * (6 / 127 if bits[0] == 8 else 2.6 / 7)
        within = residual.abs() <= step * (2 ** (bits[0] - 1) - 1)
        assert within.float().mean() > 0.9
        off = ((found - turned).abs() / step)[within]
        assert float(off.max()) < 0.51


@pytest.mark.parametrize("name", [*FORMATS, None])
def test_scores_are_those_of_the_keys_that_are_kept(name: str | None) -> None:
    """What queries meet in codes is their product with the key that codes stand for."""
    form = RecordFormat.of(config(mem_format=name), table_of())
    records, rows = form.pack(segment(50)), torch.arange(50)
    queries = torch.randn(7, D)
    for head in range(H):
        codes, clusters = form.key_codes(records, rows, head), form.clusters_of(records, rows, head)
        scores = form.encode_queries(queries, head).scores(codes, clusters)
        expected = queries @ form.keys(records, rows, head).T
        assert torch.allclose(scores, expected, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([*FORMATS, None]), st.integers(1, 40))
def test_a_record_fills_whole_lines(name: str | None, n_tokens: int) -> None:
    form = RecordFormat.of(config(mem_format=name), table_of())
    assert form.n_bytes % LINE_BYTES == 0
    assert form.pack(segment(n_tokens)).shape == (n_tokens, form.n_bytes)


def test_bytes_of_mini() -> None:
    """Four heads of 64: what the README says of a token."""
    table = MemoryTable(
        torch.zeros(4, 64), torch.eye(64).expand(4, 64, 64), *[torch.ones(4, 2, 64)] * 2
    )
    sizes = {"int8": 576, "int8-int5": 448, "int8-int4": 448, "int4": 320}
    shape = {"hidden_size": 576, "head_dim": 64, "num_attention_heads": 9, "num_key_value_heads": 3}
    heads = {"mem_layers": [0, 1], "mem_heads": {"0": [0, 1], "1": [1, 2]}}
    for name, n_bytes in sizes.items():
        asked = config(**shape, **heads, mem_format=name, mem_dtype="float16")
        assert RecordFormat.of(asked, table).n_bytes == n_bytes
    assert RecordFormat.of(config(**shape, **heads, mem_dtype="float16"), None).n_bytes == 1088


@pytest.mark.parametrize("table", [None, table_of(n_heads=2)], ids=["none", "of another model"])
def test_integers_need_a_table(table: MemoryTable | None) -> None:
    with pytest.raises(ConfigError, match=r"mem_format is 'int8'.*3 memory heads of 16.*longllama"):
        RecordFormat.of(config(mem_format="int8"), table)


def test_a_table_on_disk(tmp_path) -> None:
    table = table_of()
    assert MemoryTable.load(tmp_path) is None
    assert table.save(tmp_path) == tmp_path / TABLE_FILE
    again = MemoryTable.load(tmp_path)
    assert again is not None
    for part in ("mean", "turn", "spread"):
        assert torch.equal(getattr(again, part), getattr(table, part))
    assert torch.equal(again.centroids, table.centroids.half().float())
    (tmp_path / TABLE_FILE).write_bytes(b"no table")
    with pytest.raises(CheckpointError, match=r"is no table of memory heads.*create it"):
        MemoryTable.load(tmp_path)


def test_queries_are_round_after_the_turn() -> None:
    """And distances of keys are then mean differences of scores, which is what clusters need."""
    generator = torch.Generator().manual_seed(3)
    mixer = torch.randn(D, D, generator=generator)
    queries = torch.randn(50_000, D, generator=generator) @ mixer
    turn = round_queries(queries)
    asked = queries @ torch.linalg.inv(turn).T
    assert torch.allclose(asked.T @ asked / len(asked), torch.eye(D), atol=0.1)
    one, other = torch.randn(2, D, generator=generator)
    gap = (queries @ (one - other)).square().mean()
    assert torch.isclose(((one - other) @ turn).square().sum(), gap, rtol=0.05)


def test_the_nearest_centroid() -> None:
    points, centroids = torch.randn(300, D), torch.randn(40, D)
    assert torch.equal(nearest(points, centroids), torch.cdist(points, centroids).argmin(1))
