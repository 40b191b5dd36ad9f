"""Loss of a model with and without repository memory, on packages it was not tuned on.

For each package: windows of held-out files, beside memory of the package's other files, and of
another package's (foreign). Differences are per window, in nats/token, against local context only.

Usage: python tests/bench/loss.py [--windows 32] [--memory-tokens 20000] [--top-k 8 0]
"""

import argparse
import importlib.util
import json
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.encoder import SegmentEncoder, path_header
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.view import MemoryView

PACKAGES = (
    "longllama_code",
    "lsp_server",
    "pygls",
    "watchdog",
    "cattrs",
    "importlinter",
    "poethepoet",
    "peft",
)
"""This repository's two, and installed ones small enough to be little known."""
WINDOW_TOKENS = 384
SEED = 7


@dataclass(frozen=True)
class Package:
    """The Python files of an installed package, some of them held out."""

    name: str
    memory_files: list[Path]
    held_out: list[Path]
    root: Path


def find_package(name: str, rng: random.Random) -> Package:
    """A package's files of a useful size, one in four held out."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(next(iter(spec.submodule_search_locations)))
    files = sorted(p for p in root.rglob("*.py") if 1500 < p.stat().st_size < 60_000)
    rng.shuffle(files)
    n_held_out = max(1, len(files) // 4)
    return Package(name, files[n_held_out:], files[:n_held_out], root.parent)


def fill(loaded: LoadedModel, package: Package, max_tokens: int) -> RepositoryMemory:
    """Memory of a package's files, up to a number of tokens."""
    model = loaded.model
    memory = RepositoryMemory(model.config, model.dtype, model.device)
    encoder = SegmentEncoder(model, loaded.tokenizer, loaded.fingerprint, loaded.limits)
    for path in package.memory_files:
        name, text = path.relative_to(package.root).as_posix(), path.read_text("utf-8")
        pieces, header = encoder.cut(text), path_header(name)
        encoded = [encoder.encode(header, text[piece.start : piece.end]) for piece in pieces]
        placed = [(segment.id, piece) for segment, piece in zip(encoded, pieces, strict=True)]
        memory.replace(name, text, placed, {segment.id: segment for segment in encoded})
        if memory.rows.n_tokens >= max_tokens:
            break
    return memory


def windows(
    loaded: LoadedModel, package: Package, n: int, rng: random.Random
) -> Iterator[list[int]]:
    """Windows of held-out files, each behind its file's header."""
    tokenizer = loaded.tokenizer
    for number in range(n):
        path = package.held_out[number % len(package.held_out)]
        ids = tokenizer.encode(path.read_text("utf-8"))
        start = rng.randrange(max(1, len(ids) - WINDOW_TOKENS))
        head = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        head += tokenizer.encode(path_header(path.relative_to(package.root).as_posix()))
        yield head + ids[start : start + WINDOW_TOKENS]


@torch.inference_mode()
def loss(loaded: LoadedModel, ids: list[int], memory: RepositoryMemory | None) -> float:
    """Mean loss over a window's tokens, in nats/token."""
    view = MemoryView(memory, None) if memory is not None else None
    batch = torch.tensor([ids])
    logits = loaded.model(batch, use_cache=False, last_context_length=len(ids), memory=view).logits
    losses = torch.nn.functional.cross_entropy(logits[0, :-1], batch[0, 1:], reduction="none")
    return float(losses[-WINDOW_TOKENS:].mean())


def report(rows: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Mean and standard error of each row."""
    return {
        name: {
            "mean": statistics.fmean(values),
            "standard_error": statistics.stdev(values) / len(values) ** 0.5,
        }
        for name, values in rows.items()
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--memory-tokens", type=int, default=20_000)
    parser.add_argument("--top-k", type=int, nargs="*", default=[8, 0], help="0: all keys")
    options = parser.parse_args()
    rng = random.Random(SEED)
    loaded = load(options.model)
    packages = [find_package(name, rng) for name in PACKAGES]
    memories = [fill(loaded, package, options.memory_tokens) for package in packages]
    rows: dict[str, list[float]] = {}
    for index, package in enumerate(packages):
        own, other = memories[index], memories[(index + 1) % len(packages)]
        for ids in windows(loaded, package, options.windows // len(packages), rng):
            local = loss(loaded, ids, None)
            rows.setdefault("local only", []).append(local)
            for top_k in options.top_k:
                loaded.model.config.mem_top_k = top_k or None
                name = f"best {top_k} keys" if top_k else "all keys"
                rows.setdefault(f"own, {name}", []).append(loss(loaded, ids, own) - local)
                rows.setdefault(f"foreign, {name}", []).append(loss(loaded, ids, other) - local)
        print(f"{package.name:20} {own.rows.n_tokens:7} tokens in memory", flush=True)
    result = report(rows)
    for name, row in result.items():
        print(f"{name:24} {row['mean']:+.3f} ± {row['standard_error']:.3f} nats/token")
    print(json.dumps({"loss": result, "model": options.model, "windows": len(rows["local only"])}))


if __name__ == "__main__":
    main()
