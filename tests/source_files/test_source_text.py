"""Which files count as source, judged one by one, and their texts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from longllama_code.source_files.languages import language_of
from longllama_code.source_files.source_text import (
    Exclusion,
    Limits,
    SourceError,
    classify,
    read_source,
)


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Makes one file and returns its path."""

    def make(content: bytes, name: str = "a.py") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a.py", "python"),
        ("A.PY", "python"),
        ("a.d.ts", "typescript"),
        ("a.tsx", "typescriptreact"),
        ("a.h", "c"),
        ("Makefile", "makefile"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.dev", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "plaintext"),
        ("LICENSE", "plaintext"),
        (".bashrc", "shellscript"),
        (".gitignore", "ignore"),
        ("go.mod", "go.mod"),
        ("a.mod", None),
        ("a.png", None),
        ("a.", None),
        ("unknown", None),
    ],
)
def test_language_of(name: str, language: str | None) -> None:
    assert language_of(name) == language


@pytest.mark.parametrize(
    ("name", "content", "exclusion"),
    [
        ("a.py", b"x = 1\n", None),
        ("Makefile", b"all:\n", None),
        ("script", b"#!/bin/sh\n", None),
        ("script", b"echo\n", Exclusion.UNKNOWN_TYPE),
        ("a.unknown", b"#!/bin/sh\n", Exclusion.UNKNOWN_TYPE),
        ("a.png", b"\x89PNG\0", Exclusion.UNKNOWN_TYPE),
        ("a.py", b"", Exclusion.EMPTY),
        ("script", b"", Exclusion.EMPTY),
        ("a.py", b"x\0y", Exclusion.BINARY),
        ("a.py", "x".encode("utf-16"), Exclusion.BINARY),
        ("a.py", "é".encode("latin-1"), Exclusion.NOT_UTF8),
        ("a.py", "é".encode()[:1], Exclusion.NOT_UTF8),
        ("a.py", b"x" * 5_000 + b"\n", None),
        ("a.py", b"x" * 5_001, Exclusion.GENERATED),
        ("a.py", b"x = 1\r" * 5_001, None),
        ("a.py", b"x = 1\n" + b"x" * 5_001 + b"\r", Exclusion.GENERATED),
        ("a.py", "é".encode() * 3_000, None),
        ("a.min.js", b"x\n", Exclusion.GENERATED),
        ("package-lock.json", b"{}\n", Exclusion.GENERATED),
        ("Cargo.lock", b"x\n", Exclusion.GENERATED),
        ("uv.lock", b"x\n", Exclusion.GENERATED),
        ("package.json", b"{}\n", None),
        ("a.py", b"x\n" * 256 * 1024, None),
        ("a.py", b"x\n" * 256 * 1024 + b"y", Exclusion.TOO_LARGE),
        # A character that the end of the first kilobytes cuts in two.
        ("a.py", b"#\n" * 4095 + b"\n" + "é".encode() * 9, None),
    ],
)
def test_classify(
    source: Callable[..., Path], name: str, content: bytes, exclusion: Exclusion | None
) -> None:
    assert classify(source(content, name)) == exclusion


def test_limits_are_limits(source: Callable[..., Path]) -> None:
    path = source(b"12345\n1234\n")
    assert classify(path, Limits(max_file_bytes=11, max_line_chars=5)) is None
    assert classify(path, Limits(max_file_bytes=10)) == Exclusion.TOO_LARGE
    assert classify(path, Limits(max_line_chars=4)) == Exclusion.GENERATED


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")
    assert classify(tmp_path / "a.py") == Exclusion.UNREADABLE


def test_an_exclusion_is_its_name_and_explains_itself() -> None:
    assert Exclusion.TOO_LARGE == "too_large"
    assert Exclusion("too_large") is Exclusion.TOO_LARGE
    assert len({exclusion.text for exclusion in Exclusion}) == len(Exclusion)


def test_read_source_keeps_line_ends_and_drops_the_byte_order_mark(
    source: Callable[..., Path],
) -> None:
    assert read_source(source(b"\xef\xbb\xbfa\r\nb\rc\n")) == "a\r\nb\rc\n"


@pytest.mark.parametrize(
    ("tail", "exclusion"),
    [
        (b"\0", Exclusion.BINARY),
        (b"\xe9", Exclusion.NOT_UTF8),
        (b"x" * 5_001, Exclusion.GENERATED),
    ],
)
def test_read_source_finds_what_the_beginning_does_not_show(
    source: Callable[..., Path], tail: bytes, exclusion: Exclusion
) -> None:
    path = source(b"x\n" * 5_000 + tail)
    assert classify(path) is None
    with pytest.raises(SourceError, match=r"a\.py .*") as caught:
        read_source(path)
    assert caught.value.exclusion == exclusion


@pytest.mark.parametrize(
    ("name", "content", "exclusion"),
    [("a.py", b"", Exclusion.EMPTY), ("a.bin", b"x", Exclusion.UNKNOWN_TYPE)],
)
def test_read_source_refuses_what_classify_excludes(
    source: Callable[..., Path], name: str, content: bytes, exclusion: Exclusion
) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(source(content, name))
    assert caught.value.exclusion == exclusion


def test_read_source_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(tmp_path / "gone.py")
    assert caught.value.exclusion == Exclusion.UNREADABLE


def test_a_notebook_is_told_from_what_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}\n")
    assert classify(tmp_path / "a.ipynb") == Exclusion.NOTEBOOK
