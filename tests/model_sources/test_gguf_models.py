"""Models from GGUF files where they lie: folders, weights, logits, and what they are known by."""

import json
import os
import shutil
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as Kind
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from longllama_code import paths
from longllama_code.checkpoints.loading import load_model
from longllama_code.checkpoints.quantized import load_quantized, memory_need
from longllama_code.checkpoints.weight_files import tensors
from longllama_code.checkpoints.weight_paths import is_gguf_file, weight_files
from longllama_code.errors import CheckpointError, ModelNotFound
from longllama_code.generation import models
from longllama_code.gguf.file import GgufFile, GgufTensor
from longllama_code.model_sources import catalog
from longllama_code.model_sources.gguf_folders import convert_gguf, link_gguf
from longllama_code.model_sources.gguf_models import gguf_folder, names_gguf
from tests.gguf.test_file import write_parts
from tests.gguf.writing import LARGE, TOKENS, small_model, write_model

IDS = torch.arange(1, 41)[None] % len(TOKENS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("LONGLLAMA_CACHE", str(root))
    return paths.cache_root()


@torch.no_grad()
def logits(model: torch.nn.Module) -> Tensor:
    return model(IDS).logits


def linked(path: Path, **overrides: Any) -> Path:
    folder = path.with_suffix(".folder")
    folder.mkdir()
    link_gguf(path, folder, overrides)
    return folder


def theirs(path: Path) -> PreTrainedModel:
    """What transformers makes of the same file."""
    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    ).eval()


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q4_0, Kind.Q5_1])
@pytest.mark.parametrize(
    ("model_type", "tied"), [("llama", True), ("qwen2", True), ("qwen2", False)]
)
def test_logits_are_transformers_own(
    model_type: str, tied: bool, kind: Kind, tmp_path: Path
) -> None:
    model = small_model(model_type, tie_word_embeddings=tied, **LARGE)
    path = write_model(model, tmp_path / "model.gguf", kind_of=lambda _: kind)
    wanted, ours = logits(theirs(path)), logits(load_model(linked(path)))
    assert wanted.abs().max() > 1
    assert torch.allclose(ours, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)


@pytest.mark.parametrize("fields", [{"attention_bias": True, "mlp_bias": True}, {"head_dim": 16}])
def test_logits_of_llamas_with_biases_and_heads_of_another_size(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    model = small_model(tie_word_embeddings=False, **fields)
    path = tmp_path / "model.gguf"
    sizes = {"llama__attention__key_length": 16, "llama__attention__value_length": 16}
    write_model(model, path, **(sizes if "head_dim" in fields else {}))
    assert torch.allclose(logits(load_model(linked(path))), logits(model), atol=1e-4)


SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"factor": 4.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 16},
}


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "mistral"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_logits_with_rotary_scaling(scaling: str, model_type: str, tmp_path: Path) -> None:
    """As the model that was written has it: transformers' own reading of GGUF leaves it out."""
    parameters = {"rope_type": scaling, "rope_theta": 1e5, **SCALINGS[scaling]}
    model, plain = small_model(model_type, rope_parameters=parameters), small_model(model_type)
    entries: dict[str, Any] = {"type": scaling, "factor": 4.0, "original_context_length": 16}
    own = {f"{model_type}__rope__scaling__{key}": value for key, value in entries.items()}
    path = write_model(model, tmp_path / "model.gguf", **own)
    ours = logits(load_model(linked(path)))
    assert torch.allclose(ours, logits(model), atol=1e-4)
    assert not torch.allclose(ours, logits(plain), atol=1e-2)


def test_logits_with_llama_3s_scaling(tmp_path: Path) -> None:
    own = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    parameters = {"rope_type": "llama3", "rope_theta": 1e3, "factor": 8.0, **own}
    model = small_model(rope_parameters=parameters, num_attention_heads=1, num_key_value_heads=1)
    usual = 1e3 ** -(torch.arange(0, 32, 2) / 32)
    factors = (usual / model.model.rotary_emb.inv_freq).numpy()
    path = write_model(
        model,
        tmp_path / "model.gguf",
        extra=lambda writer: writer.add_tensor("rope_freqs.weight", factors),
    )
    assert torch.allclose(logits(load_model(linked(path))), logits(model), atol=2e-3)


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("tied", [True, False])
def test_rounded_it_is_what_the_same_numbers_in_safetensors_are(
    kind: Any, tied: bool, tmp_path: Path
) -> None:
    model = small_model("qwen2", tie_word_embeddings=tied, **LARGE)
    path = write_model(model, tmp_path / "model.gguf")
    model.save_pretrained(tmp_path / "plain")
    folder = linked(path)
    ours, other = (load_quantized(each, kind) for each in (folder, tmp_path / "plain"))
    assert torch.equal(logits(ours), logits(other))
    assert memory_need(folder, kind) == memory_need(tmp_path / "plain", kind)


def test_a_model_in_bfloat16_has_the_tensors_of_the_file_so(tmp_path: Path) -> None:
    model = small_model("qwen2", tie_word_embeddings=False)
    loaded = load_model(linked(write_model(model, tmp_path / "model.gguf")), torch.bfloat16)
    for name, weight in loaded.named_parameters():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, model.state_dict()[name].bfloat16())


def test_a_linked_model_can_become_a_longllama(tmp_path: Path) -> None:
    model = small_model("qwen2", sliding_window=24, use_sliding_window=True, max_window_layers=9)
    path = write_model(model, tmp_path / "model.gguf", qwen2__attention__sliding_window=24)
    folder = linked(path, model_type="longllama", mem_layers=[1], eos_token_id=3)
    fields = json.loads((folder / "config.json").read_text())
    assert (fields["model_type"], fields["mem_layers"], fields["eos_token_id"]) == (
        *("longllama", [1], 3),
    )
    loaded = load_model(folder)
    assert loaded.config.window == 24
    found = loaded.model.layers[0].self_attn.q_proj.bias
    assert torch.equal(found, model.state_dict()["model.layers.0.self_attn.q_proj.bias"])


def test_a_file_whose_configuration_was_changed_is_refused(tmp_path: Path) -> None:
    folder = linked(write_model(small_model(), tmp_path / "model.gguf"))
    config = folder / "config.json"
    fields = json.loads(config.read_text())
    for changed, message in (
        ({"intermediate_size": 64}, r"of shape \(32, 48\), not \(32, 64\)"),
        ({"num_hidden_layers": 3}, r"model\.layers\.2\S* of shape None"),
        ({"num_hidden_layers": 1}, r"model\.layers\.1\S* of shape \(\d+(, \d+|,)\), not None"),
    ):
        config.write_text(json.dumps({**fields, **changed}))
        with pytest.raises(CheckpointError, match=message):
            load_model(folder)


def test_a_model_without_an_end_of_documents_is_refused(tmp_path: Path) -> None:
    path = write_model(small_model(), tmp_path / "model.gguf", tokenizer__ggml__eos_token_id=None)
    with pytest.raises(CheckpointError, match=r"no tokenizer\.ggml\.eos_token_id"):
        linked(path)
    assert not list(path.with_suffix(".folder").iterdir())


def test_weights_in_safetensors_come_before_a_gguf(tmp_path: Path) -> None:
    folder = linked(write_model(small_model(), tmp_path / "model.gguf"))
    (found,) = weight_files(folder)
    assert is_gguf_file(found)
    names = [name for name, _ in tensors(found)]
    assert names == [tensor.name for tensor in GgufFile.open(found).tensors()]
    (folder / "model.safetensors").write_bytes(b"")
    assert weight_files(folder) == [folder / "model.safetensors"]
    with pytest.raises(CheckpointError, match=r"\*\.safetensors, \*\.bin or model\.gguf"):
        weight_files(tmp_path / "cache")


# Paths of GGUF files


@pytest.fixture
def some_file(tmp_path: Path) -> Path:
    return write_model(small_model(**LARGE), tmp_path / "Some Model.Q8.gguf")


def test_a_path_of_a_gguf_is_a_model(some_file: Path, cache: Path) -> None:
    folder = catalog.model_dir(f"{some_file}:int8")
    assert folder.parent == cache / "models"
    assert folder.name.startswith("gguf-Some-Model.Q8-")
    assert (folder / "model.gguf").resolve() == some_file
    loaded = models.load(str(some_file))
    assert torch.equal(logits(loaded.model), logits(load_model(folder, torch_attention=True)))
    assert loaded.tokenizer.encode("int") == [TOKENS.index("int")]
    assert models.load(f"{some_file}:int4").fingerprint != loaded.fingerprint


def test_a_file_without_an_ending_is_known_by_its_content(some_file: Path) -> None:
    blob = some_file.rename(some_file.with_name("sha256-0123"))
    assert names_gguf(blob)
    assert catalog.model_dir(str(blob)).name.startswith("gguf-sha256-0123-")


def test_the_folder_is_made_once_and_anew_for_another_file(some_file: Path, cache: Path) -> None:
    first = gguf_folder(some_file, cache)
    made = (first / "config.json").stat().st_mtime_ns
    assert gguf_folder(some_file, cache) == first
    assert (first / "config.json").stat().st_mtime_ns == made
    link = some_file.with_name("link.gguf")
    link.symlink_to(some_file)
    assert gguf_folder(link, cache) == first
    os.utime(some_file, ns=(1, 1))
    assert gguf_folder(some_file, cache) != first


def test_an_interrupted_or_broken_folder_is_made_again(some_file: Path, cache: Path) -> None:
    folder = gguf_folder(some_file, cache)
    (folder / "config.json").unlink()
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir()
    (partial / "rest").touch()
    assert gguf_folder(some_file, cache) == folder
    assert load_model(folder) is not None
    assert not partial.exists()
    (folder / "model.gguf").unlink()
    assert load_model(gguf_folder(some_file, cache)) is not None


def test_several_at_once_make_one_folder(some_file: Path, cache: Path) -> None:
    found: list[Path] = []
    workers = [
        threading.Thread(target=lambda: found.append(gguf_folder(some_file, cache)))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.parametrize("also", [(), ("link",)], ids=["hard link", "copy"])
def test_where_links_are_refused_the_file_is_there_all_the_same(
    also: tuple[str, ...], some_file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for name in also:
        monkeypatch.setattr(os, name, refuse)
    weights = gguf_folder(some_file, cache) / "model.gguf"
    assert not weights.is_symlink()
    assert weights.samefile(some_file) == (not also)
    assert weights.read_bytes() == some_file.read_bytes()
    assert weights.stat().st_mtime_ns == some_file.stat().st_mtime_ns


def test_a_split_model_is_read_where_it_lies_or_refused_without_links(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_parts(tmp_path)[0]
    folder = gguf_folder(first, cache)
    assert torch.allclose(logits(load_model(folder)), logits(small_model()), atol=1e-4)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    shutil.rmtree(folder)
    with pytest.raises(CheckpointError, match="has 3 parts, which need a symbolic link"):
        gguf_folder(first, cache)


def test_what_is_no_model_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(CheckpointError, match=r"bad\.gguf"):
        catalog.model_dir(str(bad))
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]
    with pytest.raises(ModelNotFound, match=r"no file '.*none\.gguf'"):
        catalog.model_dir(str(tmp_path / "none.gguf"))
    with pytest.raises(ModelNotFound, match=r"no file 'models/none\.gguf'"):
        catalog.model_dir("models/none.gguf")  # could be a name of the hub, too


def test_a_name_of_the_catalog_wins_over_a_file(
    some_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(some_file.parent)
    some_file.rename("mini")
    with pytest.raises(ModelNotFound, match="longllama pull mini"):
        catalog.model_dir("mini")


def test_a_changed_file_has_another_fingerprint(some_file: Path, tmp_path: Path) -> None:
    """So that memory is encoded anew; a stray GGUF beside other weights changes nothing."""
    folder = linked(some_file)
    before = models._fingerprint(folder, "")
    assert models._fingerprint(folder, "") == before
    os.utime(some_file, ns=(1, 1))
    assert models._fingerprint(folder, "") != before
    plain = tmp_path / "plain"
    small_model().save_pretrained(plain)
    before = models._fingerprint(plain, "")
    shutil.copy(some_file, plain / "model.gguf")
    assert models._fingerprint(plain, "") == before


def test_what_conversion_would_lose_is_not_converted(tmp_path: Path) -> None:
    for kind, fields in (("qwen2", {}), ("llama", {"attention_bias": True})):
        path = write_model(small_model(kind, **fields), tmp_path / f"{kind}.gguf")
        with pytest.raises(CheckpointError, match="read where it lies"):
            convert_gguf(path, tmp_path, {})


def test_a_large_tensor_costs_no_more_than_its_numbers() -> None:
    """gguf-py alone takes three times what it returns."""
    shape = 1 << 14, 256
    rows = np.zeros((shape[0], GGML_QUANT_SIZES[Kind.Q4_K][1]), np.uint8)
    tensor = GgufTensor("large", shape, Kind.Q4_K, rows)
    tracemalloc.start()
    found = tensor.floats().nbytes
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == 4 * shape[0] * shape[1]
    assert most < 1.5 * found
