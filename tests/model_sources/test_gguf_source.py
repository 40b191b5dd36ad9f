"""A GGUF file by its hash: from the hub, or in parts by real pip from an index on loopback."""

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from os.path import samestat
from pathlib import Path
from typing import Any

import huggingface_hub
import psutil
import pytest
from huggingface_hub import constants

from longllama_code import paths
from longllama_code.errors import DownloadError, ModelNotFound
from longllama_code.model_sources import catalog
from longllama_code.model_sources.catalog import ModelSpec
from longllama_code.model_sources.gguf_source import GgufSource
from longllama_code.model_sources.package_index import AT_ONCE, Part
from tests.deadline import DEADLINE_S
from tests.gguf.small_gguf import HIDDEN, small_llama, write_gguf
from tests.model_sources import hub_server, index_server
from tests.model_sources.index_server import Index
from tests.model_sources.test_hub import point_to

N_PARTS = 4
REPOSITORY, FILE = "publisher/little-GGUF", "little-q4_k_m.gguf"


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small Llama in a file of some hundred kilobytes."""
    path = tmp_path_factory.mktemp("gguf") / "little.gguf"
    return write_gguf(small_llama(intermediate_size=1200), path).read_bytes()


@pytest.fixture(scope="module")
def parts(gguf: bytes) -> dict[Part, bytes]:
    """The file's parts, each with its wheel."""
    size = -(-len(gguf) // N_PARTS)
    cut = [gguf[first : first + size] for first in range(0, len(gguf), size)]
    return dict(packed(number, data) for number, data in enumerate(cut, 1))


def packed(number: int, data: bytes) -> tuple[Part, bytes]:
    member, wheel = f"little_part{number}/data/part0{number}.bin", io.BytesIO()
    info = f"little_part{number}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"little_part{number}/__init__.py", "raise SystemExit")
        archive.writestr(member, data)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: little-part{number}\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    packed = wheel.getvalue()
    sha256 = hashlib.sha256(packed).hexdigest()
    return Part(f"little-part{number}==1.0", member, sha256, len(packed), len(data)), packed


def wheel_name(number: int) -> str:
    return f"little_part{number}-1.0-py3-none-any.whl"


@pytest.fixture
def index(
    parts: dict[Part, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Index]:
    """An index with the parts, and no hub that answers."""
    wheels = {wheel_name(number): wheel for number, wheel in enumerate(parts.values(), 1)}
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    point_to(monkeypatch, "http://127.0.0.1:9")
    with index_server.serve(wheels) as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        yield server


@pytest.fixture
def spec(
    index: Index, parts: dict[Part, bytes], gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> ModelSpec:
    sha256 = hashlib.sha256(gguf).hexdigest()
    source = GgufSource(sha256, len(gguf), REPOSITORY, FILE, tuple(parts))
    return offer(monkeypatch, source)


def offer(monkeypatch: pytest.MonkeyPatch, source: GgufSource, **fields: Any) -> ModelSpec:
    """Put the model ``little`` into the catalog."""
    overrides = {"model_type": "longllama", "mem_layers": [], **fields}
    spec = ModelSpec("little", "for tests", source, overrides)
    monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, "little": spec})
    return spec


def pulled() -> tuple[Path, list[str]]:
    steps: list[str] = []
    return catalog.pull("little", lambda step, _: steps.append(step)), steps


def parts_folder(spec: ModelSpec) -> Path:
    assert isinstance(spec.source, GgufSource)
    return paths.cache_root() / "models" / f"{spec.source.sha256[:16]}.parts"


def test_the_parts_are_joined(spec: ModelSpec, gguf: bytes) -> None:
    shares: list[float] = []
    folder = catalog.pull("little", lambda _, share: shares.append(share))
    assert shares == sorted(shares)
    assert (folder / "model.gguf").read_bytes() == gguf
    assert not (folder / "model.gguf").is_symlink()
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.gguf",
        "tokenizer.json",
    }
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"]) == ("longllama", HIDDEN)
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {folder.name, f"{folder.name}.lock"}


def test_progress_is_told_in_bytes(spec: ModelSpec, parts: dict[Part, bytes]) -> None:
    _, steps = pulled()
    whole = f"{sum(map(len, parts.values())) / 1e6:.1f}"
    assert steps[0] == "download"
    assert any(re.match(rf"download [\d.]+ of {whole} MB", step) for step in steps)
    assert [step for step in steps if not step.startswith(("download", "going on"))] == [
        "verify",
        "convert",
        "done",
    ]


def test_a_pull_that_was_killed_goes_on_with_the_missing_parts(
    spec: ModelSpec, index: Index, gguf: bytes
) -> None:
    index.held = {wheel_name(2), wheel_name(4)}
    process = subprocess.Popen([sys.executable, "-c", script(spec)], stderr=subprocess.DEVNULL)
    try:
        marks = {"0.whole", "2.whole"}
        wait_for(lambda: {path.name for path in parts_folder(spec).glob("*.whole")} >= marks)
        children = psutil.Process(process.pid).children()
    finally:
        process.kill()
        process.wait()
    assert children
    for child in children:  # they would end by themselves, when their parts are here
        child.kill()
    index.held, index.sent = set(), []
    folder, _ = pulled()
    assert sorted(index.sent) == [wheel_name(2), wheel_name(4)]
    assert (folder / "model.gguf").read_bytes() == gguf


def script(spec: ModelSpec) -> str:
    """Pull in a process of its own."""
    source = spec.source
    assert isinstance(source, GgufSource)
    fields = (source.sha256, source.n_bytes, source.repository, source.file, source.parts)
    return textwrap.dedent(f"""
        from huggingface_hub import constants
        from longllama_code.model_sources import catalog
        from longllama_code.model_sources.catalog import ModelSpec
        from longllama_code.model_sources.gguf_source import GgufSource
        from longllama_code.model_sources.package_index import Part
        constants.HF_HUB_OFFLINE = True
        source = GgufSource(*{fields!r})
        catalog.CATALOG = {{"little": ModelSpec("little", "", source, {spec.overrides!r})}}
        catalog.pull("little")
    """)


def wait_for(condition: Any) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_wheel_that_a_killed_process_left_whole_is_taken(
    spec: ModelSpec, index: Index, parts: dict[Part, bytes], gguf: bytes
) -> None:
    for number, wheel in ((1, index.wheels[wheel_name(1)]), (2, b"half a wheel")):
        folder = parts_folder(spec) / f"fetch-{number - 1}-12345" / "wheel"
        folder.mkdir(parents=True)
        (folder / wheel_name(number)).write_bytes(wheel)
    folder, _ = pulled()
    assert sorted(index.sent) == [wheel_name(number) for number in range(2, N_PARTS + 1)]
    assert (folder / "model.gguf").read_bytes() == gguf


def test_a_damaged_part_is_refused_and_the_others_are_kept(
    spec: ModelSpec, index: Index, parts: dict[Part, bytes], gguf: bytes
) -> None:
    whole = index.wheels[wheel_name(4)]
    _, index.wheels[wheel_name(4)] = packed(4, b"another part")
    found = hashlib.sha256(index.wheels[wheel_name(4)]).hexdigest()
    with pytest.raises(DownloadError, match=rf"{wheel_name(4)} has sha256 {found}, expected"):
        pulled()
    with pytest.raises(ModelNotFound, match="longllama pull little"):
        catalog.model_dir("little")
    index.wheels[wheel_name(4)], index.sent = whole, []
    folder, _ = pulled()
    assert wheel_name(4) in index.sent
    assert wheel_name(1) not in index.sent
    assert (folder / "model.gguf").read_bytes() == gguf


def test_a_joined_file_with_another_hash_is_refused(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(spec.source, GgufSource)
    wrong = offer(monkeypatch, replace(spec.source, sha256="0" * 64))
    with pytest.raises(DownloadError, match=f"sha256 {spec.source.sha256}, expected {'0' * 64}"):
        pulled()
    assert not parts_folder(wrong).exists()


def test_a_part_that_the_index_does_not_have(spec: ModelSpec, index: Index) -> None:
    """Both sources failed: the message says why, of each."""
    del index.wheels[wheel_name(3)]
    with pytest.raises(DownloadError, match=r"pip could not fetch little-part3==1\.0") as error:
        pulled()
    assert "No matching distribution found" in str(error.value)
    assert "the model hub was skipped: publisher/little-GGUF" in str(error.value)


def test_a_disk_without_room_is_refused_before_anything_is_fetched(
    spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10**5})
    monkeypatch.setattr("longllama_code.model_sources.fetching.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"0\.00 GB free: make room.*LONGLLAMA_CACHE"):
        pulled()
    assert not index.sent


def test_giving_up_ends_every_pip(spec: ModelSpec, index: Index) -> None:
    index.held = {wheel_name(number) for number in range(1, N_PARTS + 1)}

    def give_up(step: str, share: float) -> None:
        if len(index.sent) == AT_ONCE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.pull("little", give_up)
    assert not [child for child in psutil.Process().children() if "pip" in child.cmdline()]
    assert not list(parts_folder(spec).glob("fetch-*"))


@pytest.fixture
def little_hub(gguf: bytes, index: Index, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with hub_server.serve({REPOSITORY: {FILE: gguf}}) as server:
        point_to(monkeypatch, server.url)
        yield server


def test_the_hub_comes_first(
    little_hub: hub_server.Hub, spec: ModelSpec, index: Index, gguf: bytes
) -> None:
    folder, steps = pulled()
    assert [file for file, _ in little_hub.sent] == [FILE]
    assert not index.sent
    assert (folder / "model.gguf").is_symlink()
    assert (folder / "model.gguf").read_bytes() == gguf
    assert f"download {len(gguf) / 1e6:.1f} of {len(gguf) / 1e6:.1f} MB" in " ".join(steps)


def test_what_the_library_has_in_its_cache_is_taken_offline(
    little_hub: hub_server.Hub, spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub.hf_hub_download(REPOSITORY, FILE)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    little_hub.sent.clear()
    pulled()
    assert not index.sent
    assert not little_hub.sent


def test_a_hub_with_another_file_is_skipped_with_a_message(
    little_hub: hub_server.Hub, spec: ModelSpec, index: Index, gguf: bytes
) -> None:
    little_hub.repositories[REPOSITORY] = {FILE: gguf[:-1] + b"\1"}
    folder, steps = pulled()
    found = hashlib.sha256(gguf[:-1] + b"\1").hexdigest()
    assert [step for step in steps if "skipped" in step and found in step]
    assert not little_hub.sent
    assert len(index.sent) == N_PARTS
    assert (folder / "model.gguf").read_bytes() == gguf


def test_a_hub_that_is_silent_costs_seconds(
    spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longllama_code.model_sources.hub.ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        point_to(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        times: dict[str, float] = {}

        def note(step: str, _: float) -> None:
            times.setdefault(step, time.monotonic())

        catalog.pull("little", note)
    (skipped,) = [step for step in times if step.startswith("going on with the package index")]
    assert 0.4 < times[skipped] - times["download"] < DEADLINE_S  # it would be silent for ever


def test_offline_no_hub_is_asked(
    little_hub: hub_server.Hub, spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    _, steps = pulled()
    assert [step for step in steps if "HF_HUB_OFFLINE" in step]
    assert not little_hub.sent
    assert len(index.sent) == N_PARTS


def test_another_configuration_takes_the_file_that_is_here(
    spec: ModelSpec, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(spec.source, GgufSource)
    first, _ = pulled()
    file = (first / "model.gguf").stat()
    index.sent.clear()
    assert offer(monkeypatch, spec.source, mem_top_k=8).folder_name != spec.folder_name
    second, _ = pulled()
    assert not index.sent
    assert first != second
    assert samestat((second / "model.gguf").stat(), file)
    assert not first.exists()


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_of_the_user(
    spec: ModelSpec, index: Index, gguf: bytes, tmp_path: Path, named: str
) -> None:
    path = tmp_path / FILE
    with pytest.raises(DownloadError, match=f"name {FILE}, or a folder that holds it"):
        catalog.pull("little", folder=path)
    path.write_bytes(gguf[:-1])
    with pytest.raises(DownloadError, match="it is another file"):
        catalog.pull("little", folder=path)
    path.write_bytes(gguf)
    folder = catalog.pull("little", folder=path if named == "file" else tmp_path)
    assert not index.sent
    assert (folder / "model.gguf").samefile(path)


def test_where_the_file_is_from_does_not_name_another_model(spec: ModelSpec) -> None:
    assert isinstance(spec.source, GgufSource)
    moved = replace(spec.source, repository="else/where", parts=())
    assert replace(spec, source=moved).folder_name == spec.folder_name
    other = replace(spec, source=replace(spec.source, sha256="0" * 64))
    assert other.folder_name != spec.folder_name


@pytest.mark.parametrize("name", ["coder-0.5b", "coder-1.5b"])
def test_the_parts_of_a_code_model_are_as_large_as_its_file(name: str) -> None:
    source = catalog.CATALOG[name].source
    assert isinstance(source, GgufSource)
    assert sum(part.member_bytes for part in source.parts) == source.n_bytes
    assert len({part.requirement for part in source.parts}) == len(source.parts)
    for part in source.parts:
        assert re.fullmatch(r"[0-9a-f]{64}", part.sha256)
        module = part.requirement.partition("==")[0].replace("-", "_")
        assert part.member.startswith(f"{module}/data/part")


def test_coder_is_a_second_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path))
    assert catalog.spec_of("coder") is catalog.CATALOG["coder-0.5b"]
    for name in ("coder", "coder:int8", "coder-0.5b"):
        with pytest.raises(ModelNotFound, match=r"longllama pull coder-0\.5b"):
            catalog.model_dir(name)
