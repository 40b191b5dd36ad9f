"""The server where torch and the other packages of a local engine are not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S

LACKING = ("numba", "numpy", "torch", "transformers", "tokenizers", "gguf")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which importing these packages fails, as where they are not installed."""
    folder = tmp_path / "lacking"
    folder.mkdir()
    for name in LACKING:
        message = f"No module named {name!r}"
        code = f"raise ModuleNotFoundError({message!r}, name={name!r})\n"
        (folder / f"{name}.py").write_text(code, "utf-8")
    cache = str(tmp_path / "cache")
    return {**os.environ, "PYTHONPATH": str(folder), "LONGLLAMA_CACHE": cache}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "a.py"
    path.parent.mkdir()
    path.write_text("def total(amounts):\n    return su\n", "utf-8")
    return path


def run(
    environment: dict[str, str], folder: Path, *arguments: str, module: str = "lsp_server"
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=4 * DEADLINE_S,
    )


def test_a_local_model_is_refused_with_the_remedy(environment: dict[str, str], file: Path) -> None:
    done = run(environment, file.parent, "complete", "--model", "tiny", "a.py:2:14")
    assert done.returncode == 1
    assert "is not installed here" in done.stderr
    assert "longllama.engine.url" in done.stderr


def test_the_demo_ends_with_the_reason(environment: dict[str, str], file: Path) -> None:
    done = run(environment, file.parent, "demo", "--model", "tiny")
    assert done.returncode == 1
    assert "is not installed here" in done.stderr


def test_an_engine_that_needs_no_torch_completes(
    environment: dict[str, str], file: Path, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(
        json.dumps({"answers": [{"before": "return su", "text": "m(amounts)"}]}), "utf-8"
    )
    done = run(environment, file.parent, "complete", "--model", f"script:{answers}", "a.py:2:14")
    assert done.returncode == 0, done.stderr
    assert "m(amounts)" in done.stdout


def test_the_diagnosis_names_what_is_missing(environment: dict[str, str], file: Path) -> None:
    done = run(environment, file.parent, "diagnose")
    (line,) = [line for line in done.stdout.splitlines() if line.split()[1:2] == ["torch"]]
    assert line.startswith("error")
    assert "No module named 'torch'" in line


@pytest.mark.parametrize("command", ["models", "complete --model tiny"])
def test_a_command_about_models_says_which_package_it_needs(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    done = run(environment, tmp_path, *command.split(), module="longllama_code")
    assert done.returncode == 1
    assert done.stderr.startswith("longllama: the package ")
    assert "is not installed here, and this command needs it" in done.stderr


@pytest.mark.parametrize("module", ["longllama_code.__main__", "lsp_server.__main__"])
def test_neither_command_line_imports_torch_to_say_what_it_can(module: str) -> None:
    code = (
        f"import sys, {module}; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=4 * DEADLINE_S
    )
    assert done.stdout.strip() == "[]", done.stderr
