"""Rules files that a repository sets as traps. Whoever falls into one does not come back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longllama_code.source_files.ignore import MAX_RULES_BYTES, IgnoreRules
from longllama_code.source_files.regular_files import read_regular, read_regular_inside
from longllama_code.source_files.source_text import SourceError, read_source

RULES_FILES = [".gitignore", ".longllamaignore", "sub/.gitignore"]
SCAN = """
import sys
from pathlib import Path
from longllama_code.source_files.workspace import Workspace
print(*(f"{entry.relative}:{entry.exclusion}" for entry in Workspace([Path(sys.argv[1])]).scan()))
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.fixture
def root(tmp_path):
    for name in ("a.py", "sub/a.log.py", "sub/b.py"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("x = 1\n")
    return tmp_path / "root"


def scanned(root: Path) -> str:
    """Scan in another process, which is ended if it is caught, with 2 GiB of memory."""
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n"
        if sys.platform == "linux"
        else ""
    )
    command = [sys.executable, "-c", limited + SCAN, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@posix
@pytest.mark.parametrize("name", RULES_FILES)
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/dev/tty"])
def test_a_link_to_a_device(root, name, target):
    (root / name).symlink_to(target)
    assert "sub/b.py:None" in scanned(root)


@posix
@pytest.mark.parametrize("name", [*RULES_FILES, ".git", ".git/info/exclude", ".git/config"])
def test_a_pipe(root, name):
    if name.startswith(".git/"):
        (root / name).parent.mkdir(parents=True)
        (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    os.mkfifo(root / name)
    assert "sub/b.py:None" in scanned(root)


@pytest.mark.parametrize("name", RULES_FILES)
def test_a_large_file(root, name):
    with (root / name).open("wb") as file:
        file.write(b"*.log.py\n")
        file.truncate(400 << 20)
    assert "sub/b.py:None" in scanned(root)
    assert IgnoreRules(root).ignores(root / "sub" / "a.log.py")


def test_only_whole_lines_of_a_large_file_count(root):
    rules = b"*.log.py\n" + b"#" * (MAX_RULES_BYTES - 11) + b"\nb*.txt\n"
    (root / ".gitignore").write_bytes(rules)
    assert IgnoreRules(root).ignores(root / "sub" / "a.log.py")
    assert not IgnoreRules(root).ignores(root / "b.py")


@posix
@pytest.mark.parametrize("name", RULES_FILES)
def test_a_link_out_of_the_folder_is_not_obeyed(root, tmp_path, name):
    (tmp_path / "outside").write_text("*.py\n")
    (root / name).symlink_to(tmp_path / "outside")
    assert not IgnoreRules(root).ignores(root / "sub" / "b.py")


@posix
def test_rules_behind_a_link_to_a_folder_are_not_obeyed(root, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / ".gitignore").write_text("*.py\n")
    (root / "link").symlink_to(tmp_path / "outside")
    assert not IgnoreRules(root).ignores(root / "link" / "b.py")


@posix
def test_git_follows_no_link_and_we_follow_those_inside(root):
    (root / "rules").write_text("*.py\n")
    (root / ".gitignore").symlink_to("rules")
    assert not IgnoreRules(root).ignores(root / "a.py")
    (root / ".longllamaignore").symlink_to("rules")
    assert IgnoreRules(root).ignores(root / "a.py")


@pytest.mark.parametrize("name", RULES_FILES)
def test_patterns_of_many_stars(root, name):
    stars = "*a" * 12 + "*z\n" + "**/a*/" * 12 + "z\n"
    (root / name).write_text(stars * 50)
    (root / "sub" / ("a" * 60)).write_text("x = 1\n")
    assert "sub/b.py:None" in scanned(root)


def test_a_file_that_grew_after_it_was_examined(root, monkeypatch):
    (root / "a.py").write_text("x = 1\n" * 200_000)
    monkeypatch.setattr("longllama_code.source_files.source_text.classify", lambda *_: None)
    with pytest.raises(SourceError, match="larger"):
        read_source(root / "a.py")


@posix
def test_only_regular_files_are_read(root, tmp_path):
    os.mkfifo(root / "pipe")
    (root / "zero").symlink_to("/dev/zero")
    (root / "out").symlink_to(tmp_path)
    for name in ("pipe", "zero", "sub", "none"):
        with pytest.raises(OSError, match=name):
            read_regular(root / name, 10)
    with pytest.raises(OSError, match="outside"):
        read_regular_inside(root / "zero", root, 10)
    assert read_regular_inside(root / "a.py", root, 3) == b"x ="
