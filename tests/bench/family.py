"""A model of the family at full size, whole: written with random weights, loaded, completed with.

For each kind of weights, in a process of its own: the peak of resident memory and the time of
loading beside that of reading the files (both with cold files, as far as the system lets go of
them), bytes of a token of memory, times of encoding and decoding, and the bytes of weights read a
second beside what memory gives to a plain sum at the same time. Then, in another process, what a
restart takes. All cores load, one computes.

Needs 14 GB of disk for code-7b; what it wrote is removed in the end, unless --keep.

Usage: python tests/bench/family.py [--model code-7b] [--kinds int8 int4] [--tokens 4] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longllama_code.weight_kinds import WeightKind

BLOCK = 1 << 23
TEXT = '''def read_settings(path):
    """The settings of a file."""
    return parse(path.read_text())
'''
EDITED = TEXT.replace("parse", "parse_all")


def forget_files(folder: Path) -> None:
    """Ask the system to let go of what it holds of the files."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_seconds(folder: Path) -> float:
    """Seconds to read all files of weights once, cold."""
    forget_files(folder)
    start = time.perf_counter()
    for path in sorted(folder.glob("*.bin")):
        with path.open("rb", buffering=0) as file:
            while file.read(BLOCK):
                pass
    return time.perf_counter() - start


def peak_bytes() -> int:
    """Return the most that was resident of this process so far, mapped files too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def decode_rates(kernels: Any, config: Any, rounds: int = 5) -> dict[str, Any]:
    """Bytes a second that passes over one token read, and a sum over 1 GB, one after the other."""
    import torch

    from longllama_code.model.caches import LongLlamaCache

    values, cache = torch.ones(1 << 28), LongLlamaCache(config, spills=False)
    found: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        kernels.logits(kernels.run([5], cache, None)[0])
        between = time.perf_counter()
        values.sum()
        end = time.perf_counter()
        found.append((kernels.nbytes / (between - start), values.nbytes / (end - between)))
    found = found[1:]  # the first one touches pages, and may wait for a compiler
    weights, plain = (statistics.median(rates) for rates in zip(*found, strict=True))
    shares = [mine / theirs for mine, theirs in found]
    return {
        "weight_bytes_per_second": weights,
        "memory_bytes_per_second": plain,
        "share_of_memory_bandwidth": statistics.median(shares),
        "shares": shares,
    }


def child(folder: Path, kind: WeightKind, n_tokens: int, cache: Path) -> dict[str, Any]:
    """Load, index, complete, edit, complete; all that is measured of one kind."""
    import torch

    from longllama_code.checkpoints.quantized import memory_need
    from longllama_code.generation.engine import Engine
    from longllama_code.generation.models import load, with_kernels
    from longllama_code.protocol import CompletionRequest

    torch.set_num_threads(os.cpu_count() or 1)
    base = peak_bytes()
    need = memory_need(folder, kind)
    start = time.perf_counter()
    plain = load(f"{folder}:{kind}")
    report: dict[str, Any] = {"load_seconds": time.perf_counter() - start}
    torch.set_num_threads(1)
    loaded = with_kernels(plain)
    report |= {"load_peak_gib": peak_bytes() / 2**30, "before_gib": base / 2**30}
    report |= {"stated_peak_gib": need.peak / 2**30, "weights_gib": need.weights / 2**30}
    report["memory_bytes_per_token"] = loaded.record_format.n_bytes
    engine = Engine.create(loaded, loaded.store(cache / loaded.fingerprint))
    for name, text in (("indexed", TEXT), ("edited", EDITED)):
        start = time.perf_counter()
        for _ in engine.remember("app/settings.py", text):
            pass
        report[f"{name}_seconds"] = time.perf_counter() - start
        request = CompletionRequest(
            "app/main.py", "settings = read_", "\n", n_tokens, timeout_ms=600_000
        )
        result = engine.complete(request, lambda: False)
        timings = result.timings
        report[f"{name}_prefill_ms"] = timings.prefill_ms
        report[f"{name}_prompt_tokens"] = timings.prompt_tokens - timings.reused_tokens
        report[f"{name}_decode_ms_per_pass"] = timings.decode_ms / max(1, timings.passes)
    status = engine.status()
    report |= {"memory_tokens": status.n_tokens, "encoded": status.encoded_segments}
    report |= {"from_store": status.loaded_segments, "peak_gib": peak_bytes() / 2**30}
    engine.close()
    report |= decode_rates(loaded.kernels, loaded.model.config)
    return report


def run_child(folder: Path, kind: str, options: argparse.Namespace, cache: Path) -> dict[str, Any]:
    """Return the report of a process of its own."""
    forget_files(folder)
    command = [sys.executable, __file__, "--child", kind, "--folder", str(folder)]
    command += ["--tokens", str(options.tokens), "--cache", str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def default_root() -> Path:
    """Return the folder for checkpoints."""
    from longllama_code.paths import cache_root

    return cache_root() / "bench" / "family"


def write(folder: Path, model: str, scale: str = "full") -> dict[str, float]:
    """Write a checkpoint with random weights, unless it is there, and what that took."""
    from longllama_code.checkpoints.published import FAMILY
    from longllama_code.checkpoints.random_weights import write_random

    if (folder / "config.json").is_file():
        return {}
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    write_random(FAMILY[model], folder, scale=scale)
    seconds = time.perf_counter() - start
    return {"write_seconds": seconds, "write_peak_gib": peak_bytes() / 2**30}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="code-7b")
    parser.add_argument("--scale", default="full")
    parser.add_argument("--kinds", nargs="+", default=["int8", "int4"])
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.folder, options.child, options.tokens, options.cache)))
        return
    root = options.folder or default_root()
    folder, cache = root / options.model, root / "memory"
    report: dict[str, Any] = {"model": options.model, "scale": options.scale}
    report |= write(folder, options.model, options.scale)
    for kind in options.kinds:
        report[f"{kind}_read_seconds"] = read_seconds(folder)
        for name in (kind, f"{kind}, again"):
            report[name] = run_child(folder, kind, options, cache)
            print(name, json.dumps(report[name], indent=1), flush=True)
    if not options.keep:
        shutil.rmtree(root)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
