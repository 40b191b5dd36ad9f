"""The wheel: what is in it, and that uv installs it into an empty environment and it runs there.

The environment is that of `uv tool install --excludes without-engine.txt longllama-code-lsp`: it
has no torch, so that installing takes seconds; a local model needs the rest.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S

pytestmark = pytest.mark.install

ROOT = Path(__file__).parents[1]
WITHOUT = ROOT / "docs" / "without-engine.txt"
BIN = "Scripts" if sys.platform == "win32" else "bin"
MAX_BYTES = 120_000_000
"""Aim for a server without an engine."""
SAMPLE = """
import tempfile
from pathlib import Path
from lsp_server.demo.sample import RENAMING, copy_sample, sample_places
root = copy_sample(Path(tempfile.mkdtemp()))
print(len(sample_places(root)), RENAMING.apply(root) > 0, root.name)
"""


def uv() -> str:
    """Path of uv: that of this environment, or one on the PATH."""
    own = shutil.which("uv", path=sysconfig.get_path("scripts"))
    found = own or shutil.which("uv")
    assert found is not None, "no uv: pip install '.[test]'"
    return found


def run(arguments: Sequence[str | Path], **environment: str) -> str:
    done = subprocess.run(
        [*map(str, arguments)],
        env={**_clean(), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=20 * DEADLINE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run([uv(), "build", "--wheel", "--quiet", "--out-dir", folder, ROOT])
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands that ``uv tool install`` made, in a home of nobody."""
    home = tmp_path_factory.mktemp("home")
    folders = {"UV_TOOL_DIR": str(home / "tools"), "UV_TOOL_BIN_DIR": str(home / "bin")}
    versions = ["-c", ROOT / "constraints.txt", "--excludes", WITHOUT]
    run([uv(), "tool", "install", "--python", sys.executable, *versions, wheel], **folders)
    return home / "bin"


def program(commands: Path, name: str) -> Path:
    return commands / (f"{name}.exe" if sys.platform == "win32" else name)


def test_the_wheel_has_the_sample_and_the_data(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sample = ROOT / "lsp_server" / "demo" / "sample_project"
    for path in [*sample.rglob("*.py"), *sample.glob("*.toml"), *sample.glob("*.md")]:
        assert path.relative_to(ROOT).as_posix() in names
    assert "longllama_code/data/coder_files.json" in names
    assert "lsp_server/settings/settings.schema.json" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_the_commands_of_the_wheel(wheel: Path) -> None:
    content = zipfile.ZipFile(wheel)
    (entries,) = [name for name in content.namelist() if name.endswith("entry_points.txt")]
    scripts = set(
        re.findall(r"^([\w-]+) *= *lsp_server\.__main__", content.read(entries).decode(), re.M)
    )
    assert scripts == {"longllama-lsp", "longllama-code-lsp"}


@pytest.mark.parametrize("name", ["longllama-lsp", "longllama-code-lsp"])
def test_uv_installs_the_commands(commands: Path, name: str) -> None:
    assert run([program(commands, name), "--version"]).startswith("longllama-lsp ")


def test_the_demo_needs_nothing_but_a_model(commands: Path) -> None:
    assert "FILE:LINE" in run([program(commands, "longllama-lsp"), "demo", "--help"])
    assert run([_python(commands), "-c", SAMPLE]).split() == ["5", "True", "shop"]


def test_a_server_without_an_engine_is_small_and_completes(commands: Path, tmp_path: Path) -> None:
    tools = commands.parent / "tools"
    n_bytes = sum(path.stat().st_size for path in tools.rglob("*") if path.is_file())
    assert n_bytes <= MAX_BYTES
    answers, file = tmp_path / "answers.json", tmp_path / "a.py"
    answers.write_text('{"answers": [{"before": "su", "text": "m(amounts)"}]}', "utf-8")
    file.write_text("total = su\n", "utf-8")
    model = ["--root", str(tmp_path), "--model", f"script:{answers}"]
    asked = [program(commands, "longllama-lsp"), "complete", *model, f"{file}:1:11"]
    assert "m(amounts)" in run(asked, LONGLLAMA_CACHE=str(tmp_path / "cache"))


def test_what_is_left_out_is_what_the_engine_alone_needs() -> None:
    named = re.findall(
        r'^    "([\w-]+)(?:\[\w+\])?[<>=]', (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    left_out = WITHOUT.read_text("utf-8").split()
    assert left_out == sorted(left_out)
    assert set(left_out) <= set(named)


def _python(commands: Path) -> Path:
    (folder,) = (commands.parent / "tools").glob("longllama-code-lsp")
    return folder / BIN / ("python.exe" if sys.platform == "win32" else "python")
