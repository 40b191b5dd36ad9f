"""Models of the hub: fetched once, resumed, checked against the catalog, never without consent."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, file_download

from longllama_code.__main__ import main
from longllama_code.checkpoints.loading import load_config
from longllama_code.checkpoints.published import FAMILY
from longllama_code.checkpoints.random_weights import write_random
from longllama_code.errors import CheckpointError, DownloadError, LongLlamaError, ModelNotFound
from longllama_code.generation import models
from longllama_code.json_text import as_json
from longllama_code.model_sources import catalog
from longllama_code.model_sources.hub import HubSource, check_fields, wanted_files
from tests.model_sources.hub_server import COMMIT, Hub, serve

REPOSITORY = "syzymon/long_llama_3b"
MORE = {
    "README.md": b"# model",
    "modeling_longllama.py": b"raise SystemExit",
    "quantized/pytorch_model.bin": b"8 bits",
    "training_args.bin": b"a pickle",
    "LICENSE": b"Apache",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("hub") / "3b"
    write_random(FAMILY["3b"], folder, scale="small", shard_bytes=2_000_000)
    return {path.name: path.read_bytes() for path in folder.iterdir()} | MORE


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the small 3b, which the catalog expects to be small."""
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between tries
    expect(monkeypatch, FAMILY["3b"].scaled("small"))
    with serve({REPOSITORY: files, "else/where": files}) as server:
        point_to(monkeypatch, server.url)
        yield server


def point_to(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What ``HF_ENDPOINT`` does where it is set before the library is imported."""
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


def expect(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], **changes: Any) -> None:
    source = HubSource(REPOSITORY, expected=fields)
    spec = replace(catalog.CATALOG["3b"], source=source, **changes)
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, "3b": spec})


def test_pull(hub: Hub) -> None:
    steps: list[tuple[str, float]] = []
    folder = catalog.pull("3b", lambda step, share: steps.append((step, share)))
    assert steps[0] == ("download", 0.0)
    assert steps[-1] == ("done", 1.0)
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    names = {path.name for path in folder.iterdir()}
    assert names == {*hub.repositories[REPOSITORY], "source.json"} - MORE.keys() | {"LICENSE"}
    source = json.loads((folder / "source.json").read_text())
    assert source == {"repository": REPOSITORY, "commit": COMMIT}
    assert catalog.model_dir("3b") == catalog.model_dir("3b:int8") == folder
    loaded = models.load("3b:int8")
    assert loaded.model.config.mem_layers == [6, 12, 18]
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("def f(x):")) == "def f(x):"


def test_once_is_enough(hub: Hub) -> None:
    folder = catalog.pull("3b")
    n_sent = len(hub.sent)
    assert catalog.pull("3b") == folder
    assert len(hub.sent) == n_sent


def test_the_configuration_is_a_copy(hub: Hub) -> None:
    """``longllama probe --write`` changes it; the library's cache keeps what the hub has."""
    folder = catalog.pull("3b")
    assert not (folder / "config.json").is_symlink()
    assert (folder / "pytorch_model.bin.index.json").is_symlink()


def test_a_connection_that_broke_goes_on(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    shard = "pytorch_model-00001-of-00002.bin"
    hub.breaks_after[shard] = 1_000_000
    catalog.pull("3b")
    assert [first for file, first in hub.sent if file == shard] == [0, 1_000_000]


def test_a_pull_that_was_stopped_goes_on(hub: Hub) -> None:
    def stop(_: str, share: float) -> None:
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.pull("3b", stop)
    with pytest.raises(ModelNotFound, match="longllama pull 3b"):
        catalog.model_dir("3b")
    before = {file for file, _ in hub.sent}
    hub.sent.clear()
    catalog.pull("3b")
    assert {file for file, _ in hub.sent} == hub.repositories[REPOSITORY].keys() - before - {
        *MORE
    } | ({"LICENSE"} - before)


def test_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"not whole in the cache.*HF_HUB_OFFLINE"):
        catalog.pull("3b")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = catalog.pull("3b")
    for path in folder.iterdir():
        path.unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert catalog.pull("3b") == folder
    assert load_config(folder).mem_layers == [6, 12, 18]


def test_files_that_left_the_cache_are_fetched_again(hub: Hub) -> None:
    folder = catalog.pull("3b")
    (folder / "tokenizer.model").resolve().unlink()
    with pytest.raises(ModelNotFound, match="longllama pull 3b"):
        catalog.model_dir("3b")
    catalog.pull("3b")
    assert (folder / "tokenizer.model").read_bytes()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mem_layers", [8, 16, 24]),
        ("max_position_embeddings", 2048),
        ("rope_theta", 1e6),
        ("rope_scaling", {"type": "linear", "factor": 8.0}),
        ("num_hidden_layers", 32),
    ],
)
def test_a_contradiction_names_both(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, field: str, value: Any
) -> None:
    """Before any weight is fetched."""
    fields = FAMILY["3b"].scaled("small")
    expect(monkeypatch, {**fields, field: value})
    with pytest.raises(CheckpointError, match=f"{field} is .* in the catalog") as error:
        catalog.pull("3b")
    assert as_json(value) in str(error.value)
    assert as_json(fields.get(field)) in str(error.value)
    assert [file for file, _ in hub.sent] == ["config.json"]


def test_two_spellings_of_a_rotation_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    scaling = {"rope_type": "linear", "factor": 8.0}
    path.write_text(json.dumps({**FAMILY["llama-2-7b-32k"].fields, "rope_scaling": scaling}))
    check_fields(path, FAMILY["llama-2-7b-32k"].fields)


def test_a_licence_needs_consent(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def consents(spec: catalog.ModelSpec) -> bool:
        asked.append(spec.licence)
        return len(asked) > 1

    small = FAMILY["3b"].scaled("small")
    expect(monkeypatch, small, licence="Llama 2, https://x", asks_consent=True)
    with pytest.raises(DownloadError, match=r"Llama 2, https://x.*--accept-licence"):
        catalog.pull("3b", consents=consents)
    assert not hub.sent
    folder = catalog.pull("3b", consents=consents)
    assert catalog.pull("3b", consents=consents) == folder
    assert len(asked) == 2


def test_a_disk_without_room_is_refused(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10**6})
    monkeypatch.setattr("longllama_code.model_sources.hub.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"0\.0 GB to fetch.*0\.0 GB free.*HF_HOME"):
        catalog.pull("3b")
    assert [file for file, _ in hub.sent] == ["config.json"]


def test_what_the_hub_refuses(hub: Hub) -> None:
    cases = {
        (404, "RepoNotFound"): "has no syzymon/long_llama_3b",
        (404, "RevisionNotFound"): "no such revision",
        (403, "GatedRepo"): "accept its licence there",
        (500, ""): "files that were fetched are kept",
    }
    for refusal, message in cases.items():
        hub.refused[REPOSITORY] = refusal
        with pytest.raises(DownloadError, match=message):
            catalog.pull("3b")


def test_no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9"):
        catalog.pull("3b")


@pytest.mark.parametrize("name", ["else/where", "else/where@main", f"else/where@{COMMIT}"])
def test_any_repository_by_its_name(hub: Hub, name: str) -> None:
    with pytest.raises(ModelNotFound, match=f"longllama pull {name}"):
        catalog.model_dir(name)
    folder = catalog.pull(name)
    assert catalog.model_dir(f"{name}:int4") == folder
    assert load_config(folder).mem_layers == [6, 12, 18]


def test_an_unknown_revision(hub: Hub) -> None:
    with pytest.raises(DownloadError, match="no such revision"):
        catalog.pull("else/where@nonesuch")


def test_a_local_folder(hub: Hub, files: dict[str, bytes], tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    with pytest.raises(DownloadError, match="name a checkpoint's folder"):
        catalog.pull("3b", folder=mirror)
    for name, data in files.items():
        if "/" not in name:
            (mirror / name).write_bytes(data)
    folder = catalog.pull("3b", folder=mirror)
    assert not hub.sent
    assert json.loads((folder / "source.json").read_text()) == {"folder": str(mirror)}
    assert catalog.model_dir("3b") == folder
    (mirror / "config.json").write_text('{"mem_layers": [1]}')
    with pytest.raises(CheckpointError, match=r"mem_layers is \[1\].*\[6, 12, 18\]"):
        check_fields(mirror / "config.json", FAMILY["3b"].fields)
    (mirror / "config.json").write_text("[" * 9999)
    with pytest.raises(CheckpointError, match="is no configuration"):
        check_fields(mirror / "config.json", FAMILY["3b"].fields)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["config.json"], "no file of weights"),
        (["model.safetensors"], "no config.json"),
        ([], "no"),
    ],
)
def test_no_checkpoint(names: list[str], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        wanted_files(names)


def test_safetensors_go_before_bin_files() -> None:
    names = ["config.json", "model.safetensors", "pytorch_model.bin", "consolidated.safetensors"]
    assert wanted_files(names) == ["config.json", "model.safetensors"]


def test_the_command_through_a_mirror(hub: Hub, tmp_path: Path) -> None:
    """As a user runs it: ``HF_ENDPOINT`` names the mirror."""
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "longllama_code", "pull", "else/where"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "100 % done" in done.stdout
    assert catalog.model_dir("else/where").is_dir()


def test_the_command_and_the_licence(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = FAMILY["3b"].scaled("small")
    expect(monkeypatch, small, licence="Llama 2, https://x", asks_consent=True)
    assert main(["pull", "3b"]) == 1
    output = capsys.readouterr()
    assert "3b: Llama 2, https://x" in output.out
    assert "--accept-licence" in output.err
    assert main(["pull", "3b", "--accept-licence"]) == 0


def test_the_list_of_models(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models"])
    output = capsys.readouterr().out
    assert all(name in output for name in ("mini", "code-7b", "3b-v1.1", "Llama 2 Community"))


def test_every_name_of_the_family_is_in_the_catalog() -> None:
    for name, published in FAMILY.items():
        spec = catalog.CATALOG[name]
        assert isinstance(spec.source, HubSource)
        assert spec.source.repository == published.repository
        with pytest.raises(LongLlamaError, match=f"longllama pull {name}"):
            catalog.model_dir(name)


def test_an_engine_that_fetches_nothing_imports_no_http_library() -> None:
    code = (
        "import sys, longllama_code.model_sources.catalog\n"
        "heavy = 'huggingface_hub.hf_api', 'httpx', 'httpx2'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
