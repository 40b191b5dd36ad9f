"""Time of each way from nothing to the demo's end, and the share of downloads in it.

    uv     uv tool install WHEEL, longllama pull, longllama-lsp demo
    pip    python -m venv, pip install WHEEL, longllama pull, longllama-lsp demo
    make   make demo, in a copy of the checkout

Each way runs in an empty home, so with empty caches of every tool; the wheel is built before. Bytes
are those that the machine's network received meanwhile, so keep it quiet; their share is what they
take at 20 MB/s. What a way has printed so far tells when its first suggestion came.

Usage: python tests/bench/first_minutes.py [--ways uv,pip,make] [--model FOLDER]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
ASSUMED_BYTES_S = 20_000_000
FIRST_SUGGESTION = "with the project"
"""Words that the demo prints beside its first suggestion."""
BIN = "Scripts" if sys.platform == "win32" else "bin"
KEPT = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "LANG", "SYSTEMROOT")
"""Variables that a way sees of this process's, besides those of pip, uv and proxies."""


@dataclass(frozen=True)
class Step:
    """One command of a way."""

    way: str
    name: str
    seconds: float
    received_bytes: int
    first_suggestion_s: float | None
    """From the command's start; None for one that suggests nothing."""
    returncode: int

    @property
    def download_share(self) -> float:
        """Share of downloads in the time, at ``ASSUMED_BYTES_S``."""
        return min(1.0, self.received_bytes / ASSUMED_BYTES_S / self.seconds)


def build_wheel(folder: Path) -> Path:
    """Return a wheel of this checkout."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = folder.glob("longllama*.whl")
    return wheel


def environment(home: Path) -> dict[str, str]:
    """Return the variables of a user with an empty home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy")
    }
    caches = {"UV_CACHE_DIR": home / "uv", "PIP_CACHE_DIR": home / "pip", "HF_HOME": home / "hf"}
    folders = {"HOME": home, "USERPROFILE": home, "LONGLLAMA_CACHE": home / "cache", **caches}
    tools = {"UV_TOOL_DIR": home / "tools", "UV_TOOL_BIN_DIR": home / "bin"}
    paths = {name: str(path) for name, path in {**folders, **tools}.items()}
    return {**kept, **paths, "PATH": os.pathsep.join((str(home / "bin"), os.environ["PATH"]))}


def pull(program: Path, model: Path | None) -> list[str | Path]:
    """Return the command that fetches the default model, or takes it from a folder."""
    return [program, "pull", *([] if model is None else ["coder-0.5b", "--from", model])]


def steps_of(
    way: str, home: Path, wheel: Path, model: Path | None, uv_options: str
) -> Iterator[tuple[str, list]]:
    """Yield name and command of each step of a way."""
    if way == "make":
        copy = home / "checkout"
        ignored = shutil.ignore_patterns(".venv", ".git", "build", "dist", "node_modules")
        shutil.copytree(ROOT, copy, ignore=ignored)
        yield "make demo", ["make", "-C", copy, "demo"]
        return
    programs = home / "bin"
    if way == "uv":
        uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), _path())))
        assert uv is not None, "no uv: pip install uv"
        yield "install", [uv, "tool", "install", *uv_options.split(), wheel]
    else:
        programs = home / "venv" / BIN
        yield "environment", [sys.executable, "-m", "venv", home / "venv"]
        yield "install", [programs / "python", "-m", "pip", "install", "--quiet", wheel]
    yield "model", pull(programs / "longllama", model)
    yield "demo", [programs / "longllama-lsp", "demo"]


def _path() -> str:
    return os.environ.get("PATH", "")


def measured(way: str, name: str, command: list, variables: Mapping[str, str]) -> Step:
    """Run a command; return its times and what was received meanwhile."""
    before, start, first = psutil.net_io_counters().bytes_recv, time.perf_counter(), None
    process = subprocess.Popen(
        [*map(str, command)],
        env=dict(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    for line in process.stdout:
        if first is None and FIRST_SUGGESTION in line:
            first = time.perf_counter() - start
        sys.stderr.write(line)
    returncode = process.wait()
    seconds = time.perf_counter() - start
    received = psutil.net_io_counters().bytes_recv - before
    return Step(way, name, seconds, received, first, returncode)


def run(way: str, wheel: Path, model: Path | None, uv_options: str) -> Iterator[Step]:
    """Yield the steps of a way, up to one that fails."""
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "bin").mkdir()
        for name, command in steps_of(way, home, wheel, model, uv_options):
            step = measured(way, name, command, environment(home))
            yield step
            if step.returncode:
                return


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", default="uv,pip,make")
    parser.add_argument(
        "--model", type=Path, help="a folder with the model's file, instead of fetching it"
    )
    parser.add_argument("--uv-options", default="--torch-backend auto", help="(%(default)s)")
    options = parser.parse_args()
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        for way in options.ways.split(","):
            for step in run(way, wheel, options.model, options.uv_options):
                steps.append(step)
                suggested = step.first_suggestion_s
                print(
                    f"{step.way:5} {step.name:12} {step.seconds:7.1f} s  "
                    f"{step.received_bytes / 1e6:8.1f} MB  downloads {step.download_share:4.0%}"
                    + (f"  first suggestion after {suggested:.1f} s" if suggested else "")
                    + (f"  FAILED ({step.returncode})" if step.returncode else ""),
                    flush=True,
                )
    shares = [{**asdict(step), "download_share": step.download_share} for step in steps]
    print(json.dumps({"first_minutes": shares, "assumed_bytes_s": ASSUMED_BYTES_S}))


if __name__ == "__main__":
    main()
