"""Models that other programs keep: found and used where they lie, whatever their folders hold."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from longllama_code.__main__ import main
from longllama_code.errors import CheckpointError, ModelNotFound
from longllama_code.model_sources import catalog, local_models
from longllama_code.model_sources.local_models import LocalModel, find
from longllama_code.weight_kinds import split_weights
from tests.gguf.small_gguf import small_llama, write_gguf

DIGEST = "0123456789abcdef" * 4
MODEL = "application/vnd.ollama.image.model"
SPLIT = "split-{:05d}-of-00002.gguf"


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return small_llama()


@pytest.fixture(scope="module")
def gguf(llama: LlamaForCausalLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(llama, tmp_path_factory.mktemp("gguf") / "little.gguf")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder without any model."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    for name in ("LLAMA_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "home" / "AppData"))
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "home"


def put(gguf: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(gguf, place)
    return place


def manifest_of(digest: str) -> dict[str, Any]:
    """A manifest as Ollama writes it."""
    return {
        "schemaVersion": 2,
        "layers": [
            {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "1" * 64},
            {"mediaType": MODEL, "digest": digest, "size": 1},
        ],
    }


def write_manifest(models: Path, content: Any, *steps: str) -> Path:
    path = models.joinpath("manifests", *(steps or ("registry.ollama.ai", "library", "q", "1.5b")))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def listed() -> dict[str, LocalModel]:
    return {model.name: model for model in local_models.local_models()}


def test_nothing_is_here(home: Path) -> None:
    assert listed() == {}


def test_models_of_ollama(home: Path, gguf: Path) -> None:
    models = home / ".ollama" / "models"
    blob = put(gguf, models / "blobs" / f"sha256-{DIGEST}")
    for steps in (
        ("registry.ollama.ai", "library", "qwen2.5-coder", "1.5b"),
        ("registry.ollama.ai", "library", "qwen2.5-coder", "latest"),
        ("registry.ollama.ai", "somebody", "small", "q4_0"),
        ("hf.co", "owner", "repo-GGUF", "Q4_K_M"),
    ):
        write_manifest(models, manifest_of(f"sha256:{DIGEST}"), *steps)
    assert sorted(listed()) == [
        "ollama:hf.co/owner/repo-GGUF:Q4_K_M",
        "ollama:qwen2.5-coder:1.5b",
        "ollama:qwen2.5-coder:latest",
        "ollama:somebody/small:q4_0",
    ]
    for name, model in listed().items():
        assert model == LocalModel(name, blob, gguf.stat().st_size, "llama")
        assert find(name) == blob
    assert find("ollama:qwen2.5-coder") == blob


def test_ollama_may_be_told_of_another_folder(
    home: Path, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "else"))
    put(gguf, tmp_path / "else" / "blobs" / f"sha256-{DIGEST}")
    write_manifest(tmp_path / "else", manifest_of(f"sha256:{DIGEST}"))
    assert list(listed()) == ["ollama:q:1.5b"]


def test_models_of_lm_studio_and_llama_cpp(home: Path, gguf: Path) -> None:
    studio = put(gguf, home / ".lmstudio/models/owner/repo/a.gguf")
    older = put(gguf, home / ".cache/lm-studio/models/owner/repo/b.gguf")
    cpp = put(gguf, local_models.llama_cpp_folders()[0] / "c.gguf")
    (cpp.parent / "c.gguf.json").write_text("{}")
    assert {name: model.path for name, model in listed().items()} == {
        "lmstudio:owner/repo/a.gguf": studio,
        "lmstudio:owner/repo/b.gguf": older,
        "llama.cpp:c.gguf": cpp,
    }
    assert not any(model.refusal for model in listed().values())


def test_llama_cpp_may_be_told_of_another_folder(
    home: Path, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "else"))
    path = put(gguf, tmp_path / "else" / "a.gguf")
    assert find("llama.cpp:a.gguf") == path


def test_files_in_the_cache_of_the_hub(home: Path, gguf: Path, tmp_path: Path) -> None:
    """Of two snapshots with one name, the newer one."""
    for day, commit in enumerate(("old", "new")):
        snapshot = tmp_path / "hub/models--owner--repo-GGUF/snapshots" / commit
        put(gguf, snapshot / "q4" / "a.gguf")
        os.utime(snapshot, (day, day))
    newest = tmp_path / "hub/models--owner--repo-GGUF/snapshots/new/q4/a.gguf"
    assert {name: model.path for name, model in listed().items()} == {
        "hub:owner/repo-GGUF/q4/a.gguf": newest
    }
    assert find("hub:owner/repo-GGUF/q4/a.gguf") == newest


def test_of_a_split_model_the_first_part_is_named(home: Path, gguf: Path) -> None:
    folder = home / ".lmstudio/models/owner/repo"
    for part in (1, 2):
        put(gguf, folder / SPLIT.format(part))
    (model,) = listed().values()
    assert model.name == f"lmstudio:owner/repo/{SPLIT.format(1)}"
    assert model.n_bytes == 2 * gguf.stat().st_size


def test_a_model_is_used_where_it_lies(home: Path, gguf: Path) -> None:
    path = put(gguf, home / ".lmstudio/models/owner/repo/a.gguf")
    put(gguf, home / ".ollama/models/blobs" / f"sha256-{DIGEST}")
    write_manifest(home / ".ollama/models", manifest_of(f"sha256:{DIGEST}"))
    folder = catalog.model_dir("lmstudio:owner/repo/a.gguf")
    assert catalog.model_dir(str(path)) == folder
    assert catalog.model_dir("lmstudio:owner/repo/a.gguf:int8") == folder
    assert (folder / "model.gguf").samefile(path)
    assert catalog.model_dir("ollama:q:1.5b:int4") == catalog.model_dir("ollama:q:1.5b") != folder
    assert split_weights("ollama:q:1.5b") == ("ollama:q:1.5b", None)


def test_what_is_damaged_or_foreign_is_listed_with_the_reason(
    home: Path, gguf: Path, llama: LlamaForCausalLM
) -> None:
    folder = home / ".lmstudio/models/o/r"
    put(gguf, folder / "half.gguf").write_bytes(gguf.read_bytes()[:3000])
    (folder / "empty.gguf").write_bytes(b"")
    (folder / "page.gguf").write_text("<html>")
    write_gguf(llama, folder / "foreign.gguf", architecture="gemma")
    put(gguf, folder / SPLIT.format(1))
    (folder / "nowhere.gguf").symlink_to(folder / "no such file")
    found = listed()
    reasons = {name.rpartition("/")[2]: model.refusal for name, model in found.items()}
    assert "fetch it again" in reasons["half.gguf"]
    assert "not a readable GGUF" in reasons["page.gguf"]
    assert "not a readable GGUF" in reasons["empty.gguf"]
    assert 'architecture "gemma"' in reasons["foreign.gguf"]
    assert reasons[SPLIT.format(1)]
    assert "there is no" in reasons["nowhere.gguf"]
    assert found["lmstudio:o/r/foreign.gguf"].architecture == "gemma"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_a_pipe_is_not_opened(home: Path) -> None:
    folder = home / ".lmstudio/models/o/r"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.gguf")
    assert "there is no" in listed()["lmstudio:o/r/pipe.gguf"].refusal


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (manifest_of("sha256:../../../../etc/passwd"), "which is none"),
        (manifest_of("sha256:" + "A" * 64), "which is none"),
        (manifest_of("sha256:" + "0" * 63), "which is none"),
        (manifest_of("md5:" + "0" * 64), "which is none"),
        (manifest_of("sha256:" + "0" * 64 + "/.."), "which is none"),
        (manifest_of("sha256:" + "f" * 64), "is not there"),
        ({"layers": [{"mediaType": MODEL, "digest": ["sha256"]}]}, "which is none"),
        ({"layers": [{"mediaType": "else", "digest": f"sha256:{DIGEST}"}, 7]}, "no model"),
        ({"layers": 7}, "is no manifest"),
        ({}, "is no manifest"),
        ([], "is no manifest"),
        ("{", "is no manifest"),
        ("\0", "is no manifest"),
        ("[" * 100_000, "is no manifest"),
        (" " * 2_000_000, "more than 1048576 bytes"),
    ],
)
def test_hostile_manifests_are_refused(home: Path, gguf: Path, content: Any, reason: str) -> None:
    models = home / ".ollama/models"
    put(gguf, models / "blobs" / f"sha256-{DIGEST}")
    write_manifest(models, content)
    assert reason in listed()["ollama:q:1.5b"].refusal
    with pytest.raises(CheckpointError, match="pull the model again with Ollama"):
        catalog.model_dir("ollama:q:1.5b")


@pytest.mark.parametrize(
    "name",
    [
        "ollama:../../secret:1",
        "ollama:..:..",
        "ollama:/etc/passwd",
        "ollama:",
        "ollama:a/b/c/d:e",
        "ollama:.hidden:1",
        "lmstudio:../secret.gguf",
        "lmstudio:o/../../secret.gguf",
        "lmstudio:/etc/x.gguf",
        "lmstudio:o\\..\\x.gguf",
        "lmstudio:C:x.gguf",
        "lmstudio:x",
        "lmstudio:\0.gguf",
        "llama.cpp:./x.gguf",
        "hub:../../x.gguf",
        "hub:o/*/x.gguf",
        "hub:x.gguf",
    ],
)
def test_a_name_cannot_lead_out_of_its_folder(home: Path, gguf: Path, name: str) -> None:
    put(gguf, home / ".lmstudio/secret.gguf")
    put(gguf, home / ".lmstudio/models/o/r.gguf")
    put(gguf, home.parent / "hub/models--o--r/snapshots/1/x.gguf")
    with pytest.raises(ModelNotFound, match="longllama models"):
        catalog.model_dir(name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    program=st.sampled_from(["ollama", "lmstudio", "llama.cpp", "hub"]),
    rest=st.text(st.sampled_from("ab./\\:*\0~-_"), max_size=12),
)
def test_whatever_the_name_nothing_outside_is_found(home: Path, program: str, rest: str) -> None:
    for place in (home / "a.gguf", home / ".lmstudio" / "a.gguf"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    with pytest.raises(ModelNotFound):
        find(f"{program}:{rest}a.gguf" if program != "ollama" else f"{program}:{rest}")


@pytest.mark.parametrize("name", ["mini", "tiny", "owner/name", "C:\\models\\a.gguf", "./a.gguf"])
def test_other_names_are_of_no_program(name: str) -> None:
    assert find(name) is None


def test_the_command_lists_both(home: Path, gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(gguf, home / ".lmstudio/models/o/r/a.gguf")
    (home / ".lmstudio/models/o/r/b.gguf").write_text("damaged")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("coder-0.5b ") and "also coder" in line for line in lines)
    assert any(line.startswith("tiny ") and " here " in line for line in lines)
    assert any(line.startswith("lmstudio:o/r/a.gguf ") and "can be used" in line for line in lines)
    assert any(line.startswith("lmstudio:o/r/b.gguf ") and "not read" in line for line in lines)


def test_the_command_for_programs(
    home: Path, gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(gguf, home / ".lmstudio/models/o/r/a.gguf")
    assert main(["models", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    named = {entry["name"]: entry for entry in told["models"]}
    assert named["coder-0.5b"]["aliases"] == ["coder"]
    assert named["coder-0.5b"]["fetch_bytes"] == 491_400_064
    assert named["mini"]["folder"] is None
    assert told["local"] == [
        {
            "name": "lmstudio:o/r/a.gguf",
            "path": str(path),
            "n_bytes": path.stat().st_size,
            "architecture": "llama",
            "refusal": "",
        }
    ]
