"""Published packages as source trees: real pip, wheels made here, no network; and the manifests."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args

import pytest

from longllama_code.errors import DownloadError
from longllama_code.research.datasets.packages import (
    Package,
    Which,
    fetch,
    load_packages,
    read_wheel,
)
from longllama_code.research.datasets.sources import MAX_FILE_CHARS, MIN_FILE_CHARS, read_tree

WHEEL = "little_harbour-1.0-py3-none-any.whl"
RESERVED = {"cattrs", "import-linter", "peft", "poethepoet", "pygls", "transformers", "watchdog"}


def source(word: str) -> str:
    return f"{word} = 1\n" * MIN_FILE_CHARS


def write_wheel(path: Path, files: Mapping[str, str], requires: str = ">=3.10") -> Package:
    info = "little_harbour-1.0.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: little-harbour\nVersion: 1.0\nRequires-Python: {requires}\n"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Package("little-harbour", "1.0", WHEEL, sha256, "MIT", len(files), 0)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("LONGLLAMA_CACHE", str(tmp_path / "cache"))
    return folder


def test_package_is_fetched_once_and_then_needs_no_index(index: Path):
    package = write_wheel(index / WHEEL, {"harbour/ship.py": source("ship")})
    first = fetch(package)
    (index / WHEEL).unlink()
    assert fetch(package) == first
    assert first.name == "little-harbour"
    assert dict(first.texts) == {"harbour/ship.py": source("ship")}


def test_nothing_but_the_wheel_is_left_in_the_cache(index: Path, tmp_path: Path):
    fetch(write_wheel(index / WHEEL, {"harbour/ship.py": source("ship")}))
    assert [path.name for path in (tmp_path / "cache/sources").iterdir()] == [WHEEL]


def test_package_for_another_python_is_read_all_the_same(index: Path):
    package = write_wheel(index / WHEEL, {"ship.py": source("ship")}, requires=">=99")
    assert "ship.py" in fetch(package).texts


def test_other_bytes_than_the_pinned_ones_are_refused(index: Path, tmp_path: Path):
    package = write_wheel(index / WHEEL, {"ship.py": source("ship")})
    pinned = replace(package, sha256="0" * 64)
    with pytest.raises(DownloadError, match=rf"{package.sha256}.*{'0' * 64}.*pip cache purge"):
        fetch(pinned)
    assert list((tmp_path / "cache/sources").iterdir()) == []


def test_damaged_wheel_in_the_cache_is_fetched_again(index: Path, tmp_path: Path):
    package = write_wheel(index / WHEEL, {"ship.py": source("ship")})
    first = fetch(package)
    (tmp_path / "cache/sources" / WHEEL).write_bytes(b"half a wh")
    assert fetch(package) == first


def test_package_that_is_nowhere_is_an_error_that_says_so(index: Path):
    package = write_wheel(index / WHEEL, {})
    (index / WHEEL).unlink()
    with pytest.raises(DownloadError, match=r"little-harbour==1\.0.*pip config list"):
        fetch(package)


def test_wheel_of_another_name_is_an_error_that_names_it(index: Path):
    package = write_wheel(index / WHEEL, {"ship.py": source("ship")})
    with pytest.raises(DownloadError, match=rf"other\.whl, found {WHEEL}"):
        fetch(replace(package, wheel="other.whl"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("harbour/_vendor/six.py", source("six")),
        ("harbour/ship_pb2.py", source("generated")),
        ("harbour/.hidden/ship.py", source("hidden")),
        ("harbour/tiny.py", "x = 1\n"),
        ("harbour/huge.py", "x" * (MAX_FILE_CHARS + 1)),
        ("harbour/bomb.py", "x" * (4 * MAX_FILE_CHARS + 1)),
        ("harbour/zzz_copy.py", source("ship")),
        ("harbour/ship.c", source("other language")),
        ("../outside.py", source("outside")),
        ("harbour/../../outside.py", source("outside")),
        ("/outside.py", source("outside")),
        ("..\\outside.py", source("outside")),
    ],
)
def test_files_that_are_not_worth_reading_are_left_out(tmp_path: Path, path: str, text: str):
    write_wheel(tmp_path / WHEEL, {"harbour/ship.py": source("ship"), path: text})
    assert set(read_wheel(tmp_path / WHEEL, "harbour").texts) == {"harbour/ship.py"}
    assert [found.name for found in tmp_path.iterdir()] == [WHEEL], "nothing is unpacked"


def test_wheel_and_folder_read_alike(tmp_path: Path):
    files = {"b/two.py": source("two"), "a.py": source("one"), "a/c.py": source("three")}
    write_wheel(tmp_path / WHEEL, files)
    for path, text in files.items():
        (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / path).write_text(text)
    folder = read_tree(tmp_path / "root", name="harbour")
    wheel = read_wheel(tmp_path / WHEEL, "harbour")
    assert list(wheel.texts.items()) == list(folder.texts.items())


@pytest.mark.parametrize("which", get_args(Which))
def test_manifest_is_well_formed(which: Which):
    packages = load_packages(which)
    assert packages
    for package in packages:
        assert package.wheel.endswith("-none-any.whl"), package
        assert package.wheel.split("-")[1] == package.version, package
        assert set(package.sha256) <= set("0123456789abcdef"), package
        assert len(package.sha256) == 64, package
        assert package.licence, package
        assert package.n_chars > MIN_FILE_CHARS * package.n_files > 0, package
    counts = Counter(package.name for package in packages)
    assert max(counts.values()) == 1, counts.most_common(3)


def test_evaluation_packages_are_younger_than_the_embedded_model():
    for package in load_packages("evaluation"):
        assert date.fromisoformat(package.released_since) > date(2025, 2, 28), package


def test_training_sees_neither_evaluation_packages_nor_what_our_tests_read():
    held_out = {package.name for package in load_packages("evaluation")} | RESERVED
    assert not held_out & {package.name for package in load_packages("training")}
