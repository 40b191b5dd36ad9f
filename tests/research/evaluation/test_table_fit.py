"""A table that is fitted to a model's own keys and queries serves that model's memory."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longllama_code.__main__ import main
from longllama_code.config import LongLlamaConfig
from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.storage.table import MemoryTable, nearest
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.fitting.table_fit import (
    TableFitOptions,
    _queries,
    fit_table,
    k_means,
)
from longllama_code.research.evaluation.memories import SegmentMemory, encode_files

TREES = [
    SourceTree(
        name,
        {f"{n}.py": f"def {name}_{n}(x):\n    return x * {n} + {n + 1}\n" * 12 for n in range(6)},
    )
    for name in ("alpha", "beta")
]
OPTIONS = TableFitOptions(tokens=2_000, queries=300, clusters=64, rounds=4)


@pytest.fixture(scope="module")
def table(tiny: LoadedModel) -> MemoryTable:
    return fit_table(tiny, TREES, OPTIONS, lambda _: None)


def compressed(tiny: LoadedModel, table: MemoryTable, name: str, read: int) -> LoadedModel:
    fields = {**tiny.model.config.to_dict(), "mem_format": name, "mem_read_keys": read}
    model = LongLlamaForCausalLM(LongLlamaConfig.from_dict({**fields, "mem_top_k": 8})).eval()
    model.load_state_dict(tiny.model.state_dict())
    return replace(tiny, model=model, table=table)


def test_a_table_has_all_heads(table: MemoryTable, tiny: LoadedModel) -> None:
    n_heads, head_dim = 3, tiny.model.config.head_dim
    assert table.mean.shape == table.spread.shape == (n_heads, head_dim)
    assert table.centroids.shape == (n_heads, 64, head_dim)
    assert bool((table.spread > 0).all())
    keys = torch.cat([s.keys for f in encode_files(tiny, TREES[0].texts) for s in f.segments], 1)
    turned = table.turned(keys)
    residuals = turned - torch.stack(
        [c[o] for c, o in zip(table.centroids, table.clusters(turned), strict=True)]
    )
    assert float(residuals.norm(dim=-1).mean()) < 0.5 * float(turned.norm(dim=-1).mean())


@torch.no_grad()
def test_what_is_heard_is_what_heads_ask(tiny: LoadedModel) -> None:
    """Of the first memory layer, whose input no memory has touched."""
    text = TREES[0].texts["0.py"]
    heard = _queries(tiny, text, 50)
    ids = torch.tensor([tiny.tokenizer.encode(text)[:50]])
    asked: list[torch.Tensor] = []
    attention = tiny.model.model.layers[1].self_attn
    handle = attention.q_proj.register_forward_hook(lambda *args: asked.append(args[2]))
    tiny.model(ids, use_cache=False, last_context_length=50)
    handle.remove()
    assert heard.shape == (3, 2 * 50, 16)
    # Positions turn a query, and leave its length.
    lengths = asked[0][0].unflatten(-1, (4, 16)).norm(dim=-1)
    expected = torch.cat((lengths[:, 0], lengths[:, 1]))
    assert torch.allclose(heard[0].norm(dim=-1), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "worst"), [("int8", 0.05), ("int8-int5", 0.2), ("int8-int4", 0.3), ("int4", 0.6)]
)
def test_compressed_memory_says_nearly_the_same(
    tiny: LoadedModel, table: MemoryTable, name: str, worst: float
) -> None:
    loaded = compressed(tiny, table, name, read=10**6)
    ids = torch.tensor([[256, *b"def alpha_2(x):\n    return x"]])
    logits: list[torch.Tensor] = []
    for one in (compressed(tiny, table, "int8", 10**6), loaded):
        one.model.config.mem_format = None if one is not loaded else name
        memory = SegmentMemory(one)
        for number, file in enumerate(encode_files(one, TREES[0].texts)):
            memory.take(f"{number}", file.text, file.pieces, file.segments)
        with torch.no_grad():
            logits.append(one.model(ids, memory=CompletionMemory(memory, None)).logits)
    error = float((logits[0] - logits[1]).std() / logits[0].std())
    assert 0 < error < worst


def test_k_means_finds_what_is_there() -> None:
    generator = torch.Generator().manual_seed(2)
    middles = 20 * torch.randn(6, 3, generator=generator)
    points = (middles[:, None] + torch.randn(6, 50, 3, generator=generator)).flatten(0, 1)
    centroids = k_means(points, 12, 20, generator)
    gaps = (points - centroids[nearest(points, centroids)]).norm(dim=1)
    assert float(gaps.mean()) < 3


def test_too_few_tokens_are_refused(tiny: LoadedModel) -> None:
    few = TableFitOptions(tokens=300, queries=50, clusters=4_096)
    with pytest.raises(ConfigError, match=r"tokens are too few for 4,096 clusters: name more"):
        fit_table(tiny, TREES, few, lambda _: None)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tree").mkdir()
    for name, text in TREES[0].texts.items():
        (tmp_path / "tree" / name).write_text(text)
    arguments = ["table", "--model", "tiny", "--repo", str(tmp_path / "tree"), "--clusters", "16"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    found = MemoryTable.load(tmp_path / "out")
    assert found is not None
    assert found.centroids.shape == (3, 16, 16)
    assert main(arguments) == 1
    assert "tiny has no folder to put a table into; name an --output" in capsys.readouterr().err
    assert main(["table", "--model", "tiny", "--output", str(tmp_path)]) == 1
    assert "no source tree to read: name some" in capsys.readouterr().err
