"""Two processes, as accelerate finds them on CPUs, train one model and go on along one curve."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator

from longllama_code.research.run_folder import METRICS, append_record, read_records
from tests.paths import ROOT
from tests.research.training import test_loop


def launch(folder: Path, max_steps: int | None) -> list[float]:
    script = folder.parent / "run.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.research.training.test_distributed import run_here\n"
        f"run_here(Path({str(folder)!r}), {max_steps})\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    subprocess.run([*command, "--standalone", str(script)], check=True, env=environment)
    return [step["loss"] for step in read_records(folder / METRICS)]


def run_here(folder: Path, max_steps: int | None) -> None:
    """In one of the processes."""
    test_loop.run(folder, dataclasses.replace(test_loop.OPTIONS, total_tokens=6_144), max_steps)


def test_two_processes(tmp_path: Path) -> None:
    launch(tmp_path / "run", 3)
    losses = launch(tmp_path / "run", None)
    assert len(losses) == 6_144 // (2 * test_loop.OPTIONS.tokens_per_pass)
    assert losses == pytest.approx(launch(tmp_path / "whole", None), abs=1e-4)
    assert losses[-1] < losses[0]


def test_one_process_alone_cuts_the_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that did so at once could lose what came before: one reads what the other rewrites."""
    first = test_loop.run(tmp_path, max_steps=1)
    append_record(tmp_path / METRICS, {"step": 2, "loss": 0.0})  # of a process that was killed
    with monkeypatch.context() as other:
        other.setattr(Accelerator, "is_main_process", False)
        assert test_loop.run(tmp_path, max_steps=0) == [*first, 0.0]
    assert test_loop.run(tmp_path, max_steps=0) == first


def test_the_command_knows_of_its_other_process(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for n in range(3):
            (tmp_path / name / f"{n}.py").write_text(f"def {name}_{n}():\n    return {n}\n" * 20)
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--standalone", "-m", "longllama_code", "train", str(run), "--model", "tiny"]
    command += ["--repo", str(tmp_path / "one"), "--repo", str(tmp_path / "two")]
    for change in ("total_tokens=1024", "row_tokens=64", "repositories_per_step=2"):
        command += ["--set", change]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run(command, check=True, env=environment, cwd=ROOT)
    assert [step["tokens"] for step in read_records(run / METRICS)] == [
        1024
    ]  # 2 * 8 rows * 64 tokens
