"""The model on a GPU: loading, encoding, completing, with all, some or none of memory on it.

For each kind of weights: seconds to load, tokens encoded a second, and, for each share of memory
that may lie on the GPU, milliseconds of a prompt's token and of a pass of decoding, what was kept
there, and whether the suggestions are those of the first share, as they must be. With `--compile`,
the first share once more with compiled layers, and the seconds that compiling took.

Where there is no GPU it says so, and measures nothing; `--device cpu` runs the same steps there,
for whoever changes this file.

Usage: python tests/bench/gpu.py [--model mini] [--dtypes auto int8 int4] [--shares 1 0.5 0.1 0]
       [--compile]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from longllama_code.errors import CheckpointError
from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel, load_placed, with_compiled_layers
from longllama_code.memory.storage.resident import DeviceRoom, ResidentRecords
from longllama_code.memory.storage.store import SegmentStore
from longllama_code.protocol import CompletionRequest, CompletionResult

SOURCES = Path(__file__).parents[2]
TOKENS = 24
PREFIXES = [
    "from longllama_code.errors import ",
    "def main():\n    options = parse_arguments()\n    loaded = load(options.",
    "class Store:\n    def find(self, segment_id):\n        return self._",
]


def device_at_hand() -> str | None:
    """Return a GPU that torch can use."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def describe(device: torch.device) -> str:
    """Return the name of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_bytes(device: torch.device) -> int | None:
    """Return the most that was taken of a CUDA device since the last call."""
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def texts(n_files: int) -> list[tuple[str, str]]:
    """Return files of this repository."""
    found = sorted((SOURCES / "longllama_code").rglob("*.py"))[:n_files]
    return [(path.relative_to(SOURCES).as_posix(), path.read_text("utf-8")) for path in found]


def opened(loaded: LoadedModel, store: SegmentStore, n_files: int) -> tuple[Engine, float]:
    """Return an engine that remembers files, and the seconds which that took."""
    engine, start = Engine.create(loaded, store), time.perf_counter()
    for path, text in texts(n_files):
        for _ in engine.remember(path, text):
            pass
    return engine, time.perf_counter() - start


def completed(engine: Engine, rounds: int) -> list[CompletionResult]:
    """Suggestions, each in a file of its own, so that no prompt is known."""
    requests = [
        CompletionRequest(f"new/{turn}_{number}.py", prefix, "\n", TOKENS, timeout_ms=600_000)
        for turn in range(rounds + 1)
        for number, prefix in enumerate(PREFIXES)
    ]
    # The first of each warms up caches and kernels, and brings pages.
    return [engine.complete(request, lambda: False) for request in requests][len(PREFIXES) :]


def with_share(loaded: LoadedModel, share: float, options: argparse.Namespace) -> dict[str, Any]:
    """Measurements and suggestions with a share of memory on the device."""
    n_bytes, device = loaded.record_format.n_bytes, loaded.model.device
    whole = SegmentStore(None, n_bytes)
    n_tokens = opened(loaded, whole, options.files)[0].status().n_tokens if share < 1 else 0
    max_bytes = round(share * n_tokens * n_bytes) if share < 1 else 1 << 40
    store = SegmentStore(None, n_bytes, room=DeviceRoom(device, max_bytes))
    engine, seconds = opened(loaded, store, options.files)
    results, records = completed(engine, options.rounds), store.records
    assert isinstance(records, ResidentRecords)
    timings = [result.timings for result in results]
    return {
        "memory_tokens": engine.status().n_tokens,
        "encoded_tokens_per_s": engine.status().n_tokens / seconds,
        "prefill_ms_per_token": statistics.median(t.prefill_ms / t.prompt_tokens for t in timings),
        "decode_ms_per_pass": statistics.median(t.decode_ms / max(1, t.passes) for t in timings),
        "resident_bytes": records.resident_bytes,
        "peak_device_bytes": peak_bytes(device),
        "texts": [result.text for result in results],
    }


def of_weights(device: str, dtype: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return all that is measured of one kind of weights."""
    start = time.perf_counter()
    loaded = load_placed(options.model, device, dtype)
    report: dict[str, Any] = {"load_seconds": time.perf_counter() - start}
    report |= {"computes_in": str(loaded.model.dtype), "token_bytes": loaded.record_format.n_bytes}
    first: list[str] | None = None
    for share in options.shares:
        found = with_share(loaded, share, options)
        suggested = found.pop("texts")
        first = suggested if first is None else first
        report[f"share {share:g}"] = found | {"same_suggestions": suggested == first}
    if options.compile:
        start = time.perf_counter()
        compiled = with_compiled_layers(loaded)
        report["compile_seconds"] = time.perf_counter() - start
        found = with_share(compiled, options.shares[0], options)
        same = {"same_suggestions": found.pop("texts") == first}
        report["compiled"] = found | same | {"not_compiled": compiled.not_compiled}
    return report


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--device")
    parser.add_argument("--dtypes", nargs="+", default=["auto", "int8", "int4"])
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 0.5, 0.1, 0])
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    device = options.device or device_at_hand()
    if device is None:
        print("No GPU is at hand (torch sees neither CUDA nor MPS): nothing was measured.")
        print(json.dumps({"gpu": None}))
        return
    report: dict[str, Any] = {"gpu": describe(torch.device(device)), "model": options.model}
    for dtype in options.dtypes:
        try:
            report[dtype] = of_weights(device, dtype, options)
        except CheckpointError as error:
            report[dtype] = {"refused": str(error)}
        print(dtype, json.dumps(report[dtype], indent=1), flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
