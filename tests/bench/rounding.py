"""What kernels cost in quality: weights in 8 bits beside the model's own float32.

Windows of files that are not in memory, of packages that training never saw. The model and the
kernels each read them alone, and beside the own repository in memory, encoded by either. For each:
the loss, and the share of tokens that it would choose as the model does beside its own memory.

Usage: python tests/bench/rounding.py [--model mini] [--packages 8] [--windows 4] [--tokens 10000]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from longllama_code.evaluation.bootstrap import Share, interval
from longllama_code.evaluation.memories import encode_files, memory_of
from longllama_code.evaluation.memory_size import SizeOptions, Window, divide
from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.view import MemoryView
from longllama_code.model.cache import LongLlamaCache
from longllama_code.model.kernel_model import KernelModel
from longllama_code.training.packages import fetch, load_packages

Read = Callable[[LoadedModel, Window, MemoryView | None], Tensor]


@torch.inference_mode()
def by_model(loaded: LoadedModel, window: Window, view: MemoryView | None) -> Tensor:
    """Log probabilities (S, V) of each token of a window but the head."""
    ids = torch.tensor([window.ids])
    out = loaded.model(ids, use_cache=False, last_context_length=len(window.ids), memory=view)
    return out.logits[0, window.n_head - 1 : -1].log_softmax(-1)


@torch.inference_mode()
def by_kernels(loaded: LoadedModel, window: Window, view: MemoryView | None) -> Tensor:
    """The same by kernels."""
    assert loaded.kernels is not None
    cache = LongLlamaCache(loaded.model.config, spills=False)
    hidden = loaded.kernels.run(window.ids, cache, view)[window.n_head - 1 : -1]
    return torch.stack([loaded.kernels.logits(row) for row in hidden]).log_softmax(-1)


ARMS: dict[str, tuple[Read, str | None]] = {
    "model": (by_model, None),
    "kernels": (by_kernels, None),
    "model, own memory": (by_model, "model"),
    "kernels, memory by the model": (by_kernels, "model"),
    "kernels, own memory": (by_kernels, "kernels"),
}
"""Who reads, and who encoded the memory beside, if there is one."""


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--packages", type=int, default=8)
    parser.add_argument("--windows", type=int, default=4, help="of a package")
    parser.add_argument("--tokens", type=int, default=10_000, help="in memory")
    options = parser.parse_args()
    plain = load(options.model)
    fast = replace(plain, kernels=KernelModel(plain.model, torch.get_num_threads()))
    losses: dict[str, list[list[float]]] = {name: [] for name in ARMS}
    alike: dict[str, list[bool]] = {name: [] for name in ARMS}
    for package in load_packages("evaluation")[: options.packages]:
        rng = random.Random(f"rounding {package}")
        windows, texts = divide(plain, fetch(package), SizeOptions(windows=options.windows), rng)
        memories = {
            name: memory_of(plain, encode_files(loaded, texts, options.tokens))
            for name, loaded in (("model", plain), ("kernels", fast))
        }
        for window in windows:
            read(fast, window, memories, losses, alike)
        print(package, file=sys.stderr, flush=True)
    report = [line(name, losses, alike) for name in ARMS]
    for each in report:
        print(json.dumps(each))
    print(json.dumps(report))


def read(
    loaded: LoadedModel,
    window: Window,
    memories: dict[str, RepositoryMemory],
    losses: dict[str, list[list[float]]],
    alike: dict[str, list[bool]],
) -> None:
    """Take in one window."""
    targets = torch.tensor(window.ids[window.n_head :])[:, None]
    chosen: dict[str | None, Tensor] = {}
    for name, (by, memory) in ARMS.items():
        view = None if memory is None else MemoryView(memories[memory], None)
        found = by(loaded, window, view)
        losses[name].append((-found.gather(1, targets)[:, 0]).tolist())
        if by is by_model:
            chosen[memory] = found.argmax(1)
        right = chosen[None if memory is None else "model"]
        alike[name] += (found.argmax(1) == right).tolist()


def line(
    name: str, losses: dict[str, list[list[float]]], alike: dict[str, list[bool]]
) -> dict[str, object]:
    """One line of the report; a change comes with its 95 % interval over windows."""
    reference = "model" if ARMS[name][1] is None else "model, own memory"
    shares = [
        Share(sum(mine) - sum(right), len(mine))
        for mine, right in zip(losses[name], losses[reference], strict=True)
    ]
    n_tokens = len(alike[name])
    change = interval(shares, seed=0)
    assert change is not None
    return {
        "arm": name,
        "loss": round(sum(map(sum, losses[name])) / n_tokens, 4),
        "change": [round(end, 5) for end in (change.mean, change.low or 0, change.high or 0)],
        "alike": round(sum(alike[name]) / n_tokens, 4),
        "tokens": n_tokens,
    }


if __name__ == "__main__":
    main()
