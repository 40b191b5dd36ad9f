"""A GGUF file whose matrices stay in its blocks: by kernels and by modules, beside its floats."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from torch import nn

from longllama_code.checkpoints.blocks import load_blocks
from longllama_code.checkpoints.loading import load_model
from longllama_code.errors import CheckpointError
from longllama_code.generation import models
from longllama_code.gguf.file import GGUF_NAME, GgufFile
from longllama_code.kernels.codegen.block_levels import CHUNK
from longllama_code.kernels.codegen.vectors import HAS_BYTE_DOTS
from longllama_code.model.by_kernels.kernel_model import KernelModel, drop_weights
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.memory_source import InContextMemory
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rounded.blocks import BlockEmbedding, BlockLinear, floats
from tests.gguf.writing import LARGE, TOKENS, small_model, write_model

IDS = [1 + 7 * index % (len(TOKENS) - 1) for index in range(90)]
SHAPE = {**LARGE, "num_attention_heads": 4, "max_position_embeddings": 128}
MIXED = {"q_proj": Kind.Q5_0, "v_proj": Kind.Q8_0, "down_proj": Kind.Q6_K, "lm_head": Kind.Q8_0}


def as_mixed(name: str) -> Kind:
    """Several kinds in a layer, as llama.cpp's Q4_K_M has them."""
    return next((kind for part, kind in MIXED.items() if part in name), Kind.Q4_K)


def write_folder(folder: Path, kind: str = "qwen2", kind_of=as_mixed, **fields: object) -> Path:
    """A checkpoint whose weights are a GGUF file."""
    folder.mkdir(exist_ok=True)
    path = write_model(
        small_model(kind, **{**SHAPE, **fields}), folder / GGUF_NAME, kind_of=kind_of
    )
    config = {**GgufFile.open(path).fields, "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen2, tied"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, _, tied = request.param.partition(", ")
    path = tmp_path_factory.mktemp("blocks") / "model"
    return write_folder(path, kind, tie_word_embeddings=bool(tied))


@torch.no_grad()
def by_modules(model: LongLlamaForCausalLM, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False, last_context_length=len(ids)).logits[0]


@contextmanager
def inputs_as_kernels_round_them(model: nn.Module) -> Iterator[None]:
    """Linear maps whose inputs lose what those of kernels do on this CPU."""

    def rounded(_: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        chunks = inputs[0].unflatten(-1, (-1, CHUNK))
        units = chunks.abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127
        return ((chunks / units).round() * units).flatten(-2), *inputs[1:]

    linears = [m for m in model.modules() if isinstance(m, nn.Linear) and HAS_BYTE_DOTS]
    hooks = [linear.register_forward_pre_hook(rounded) for linear in linears]
    yield
    for hook in hooks:
        hook.remove()


def by_kernels(
    model: LongLlamaForCausalLM, parts: list[list[int]], n_threads: int = 1
) -> torch.Tensor:
    kernels, cache = KernelModel(model, n_threads), LongLlamaCache(model.config, spills=False)
    assert kernels.threads.n_threads == n_threads
    states = torch.cat([kernels.run(part, cache, None) for part in parts])
    return torch.stack([kernels.logits(state) for state in states])


def assert_near(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Logits differ by no more than inputs rounded to 15 bits allow, or by a step of 8 bits."""
    assert found.shape == wanted.shape
    most = 1e-2 if HAS_BYTE_DOTS else 1e-3
    assert (found - wanted).abs().max() <= most * wanted.abs().max()


def test_logits_are_those_of_the_files_floats(folder: Path) -> None:
    model, plain = (load(folder, torch_attention=True) for load in (load_blocks, load_model))
    assert KernelModel.fits(model)
    assert KernelModel(model).kind == "gguf"
    with inputs_as_kernels_round_them(plain):
        wanted = by_modules(plain, IDS)
    assert_near(by_kernels(model, [IDS[:70], IDS[70:71], IDS[71:]]), wanted)
    assert_near(by_modules(model, IDS[:9]), wanted[:9])
    # More tokens than modules give to kernels.
    torch.testing.assert_close(by_modules(model, IDS), by_modules(plain, IDS), rtol=1e-3, atol=1e-3)


def test_a_token_is_the_same_alone_and_behind_others(folder: Path) -> None:
    model = load_blocks(folder, torch_attention=True)
    alone = by_kernels(model, [[token] for token in IDS[:12]])
    assert torch.equal(by_kernels(model, [IDS[:12]]), alone)
    assert torch.equal(by_kernels(model, [IDS[:2], IDS[2:5], IDS[5:12]]), alone)


@pytest.mark.parametrize("n_threads", [2, 4])
def test_threads_change_no_bit(
    folder: Path, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longllama_code.kernels.sharing.threads.LEAST_GAIN", 0)
    model = load_blocks(folder, torch_attention=True)
    parts = [IDS[:20], *([token] for token in IDS[20:40]), IDS[40:43], IDS[43:]]
    wanted = by_kernels(model, parts)
    for _ in range(5):
        assert torch.equal(by_kernels(model, parts, n_threads), wanted)


@torch.inference_mode()
@pytest.mark.parametrize("mem_positionals", [True, False])
def test_layers_with_memory_are_run_one_by_one(folder: Path, mem_positionals: bool) -> None:
    fields = {"torch_attention": True, "mem_layers": [1], "mem_positionals": mem_positionals}
    model = load_blocks(folder, **fields)
    keys, values = torch.randn(2, 1, 1, 9, 64)
    memory, nothing = InContextMemory(model.config), InContextMemory(model.config)
    memory.absorb(1, 100 * keys, 1e6 * values)  # much, as these random layers hardly attend
    memory.absorb_visibility(torch.ones(1, 9, dtype=torch.bool))
    found = states_by_kernels(model, memory)
    wanted = model.model.window(*whole(model), memory)[0]
    largest, of_inputs = float(wanted.abs().max()), 5e-2 if HAS_BYTE_DOTS else 1e-3
    torch.testing.assert_close(found, wanted, rtol=1e-2, atol=of_inputs * largest)
    without = states_by_kernels(model, None)
    assert (found - without).abs().max() > 0.1
    assert torch.equal(states_by_kernels(model, nothing), without)


def states_by_kernels(model: LongLlamaForCausalLM, memory: InContextMemory | None) -> torch.Tensor:
    kernels, cache = KernelModel(model), LongLlamaCache(model.config, spills=False)
    return torch.cat([kernels.run(part, cache, memory) for part in (IDS[:30], [IDS[30]])])


def whole(model: LongLlamaForCausalLM) -> tuple[torch.Tensor | LongLlamaCache, ...]:
    """The first 31 tokens, their positions, which are no padding, and an empty cache."""
    embeds = model.model.embed_tokens(torch.tensor([IDS[:31]]))
    visible = torch.ones(1, 31, dtype=torch.bool)
    return embeds, torch.arange(31)[None], visible, LongLlamaCache(model.config, spills=False)


def test_nothing_is_copied_but_rows_in_another_order(folder: Path) -> None:
    model = load_blocks(folder, torch_attention=True)
    tensors = {tensor.name: tensor for tensor in GgufFile.open(folder / GGUF_NAME).tensors()}
    for name, module in model.named_modules():
        if isinstance(module, BlockLinear | BlockEmbedding):
            tensor = tensors.get(f"{name}.weight", tensors["model.embed_tokens.weight"])
            assert is_mapped(module.rows.blocks) == tensor.is_mapped
            np.testing.assert_array_equal(module.rows.blocks, tensor.blocks)
    drop_weights(model)
    assert by_kernels(model, [IDS]).isfinite().all()


def is_mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return type(base).__name__ == "mmap"


def test_blocks_without_kernels_are_kept_in_8_bits(tmp_path: Path) -> None:
    def kind_of(name: str) -> Kind:
        return Kind.Q4_K if "down_proj" in name else Kind.F16

    folder = write_folder(tmp_path / "model", kind_of=kind_of)
    model, plain = (load(folder, torch_attention=True) for load in (load_blocks, load_model))
    assert model.model.layers[0].mlp.up_proj.rows.kind == "Q8_0"
    assert model.model.layers[0].mlp.down_proj.rows.kind == "Q4_K"
    up = model.model.layers[0].mlp.up_proj
    found, wanted = floats(up.rows, slice(None)), plain.model.layers[0].mlp.up_proj.weight
    assert (found - wanted).abs().max() <= wanted.abs().max() / 127
    assert by_kernels(model, [IDS]).isfinite().all()


@pytest.mark.parametrize("kind", [Kind.F16, Kind.BF16, Kind.Q2_K], ids=lambda kind: kind.name)
def test_files_without_any_such_blocks_are_loaded_as_before(kind: Kind, tmp_path: Path) -> None:
    assert load_blocks(write_folder(tmp_path / "model", kind_of=lambda _: kind)) is None


def test_rows_that_are_no_whole_chunks_are_loaded_as_before(tmp_path: Path) -> None:
    def kind_of(name: str) -> Kind:
        return Kind.F32 if "down_proj" in name else Kind.Q8_0

    narrow = {"hidden_size": 32, "intermediate_size": 48, "num_key_value_heads": 2}
    assert load_blocks(write_folder(tmp_path / "model", kind_of=kind_of, **narrow)) is None


def test_engines_take_the_blocks_unless_told_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CPU_CACHE_BYTES", 0)
    monkeypatch.setattr(models, "load_tokenizer", lambda _: None)
    engines = {
        dtype: models.load_for_engine(str(folder), dtype=dtype)
        for dtype in ("auto", "int8", "float32")
    }
    kinds = {dtype: loaded.kernels and loaded.kernels.kind for dtype, loaded in engines.items()}
    assert kinds == {"auto": "gguf", "int8": "int8", "float32": None}
    assert len({loaded.fingerprint for loaded in engines.values()}) == 3
    behind_its_name = models.load_for_engine(f"{folder}:int8")
    assert behind_its_name.kernels is not None
    assert behind_its_name.kernels.kind == "int8"
    assert models.load(str(folder)).model.lm_head.weight.dtype == torch.float32


def test_a_configuration_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "intermediate_size": 256}))
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_blocks(other)
    (other / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match=r"lacks .* weights"):
        load_blocks(other)


MEASURED = """
import sys
from pathlib import Path

import torch

from longllama_code.checkpoints.blocks import load_blocks
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.modeling import LongLlamaForCausalLM  # its import is not measured
from longllama_code.model.by_kernels.kernel_model import KernelModel


def private_kb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


torch.set_num_threads(1)
before = private_kb()
model = load_blocks(Path(sys.argv[1]), torch_attention=True)
print(private_kb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_loading_takes_memory_for_no_matrix(tmp_path: Path) -> None:
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 4}
    folder = write_folder(tmp_path / "model", kind_of=lambda _: Kind.Q8_0, **sizes)
    size = (folder / GGUF_NAME).stat().st_size
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(folder)], capture_output=True, text=True, check=True
    )
    assert size > 50_000_000
    assert int(done.stdout) * 1024 < size / 5
