"""Loss of quality by kernels: the model as the engine runs it, compared with float32.

On a CPU that is weights in 8 bits, or in a GGUF file's own blocks. Windows of files that are not in
memory, of packages that training never saw, or of folders. The model and the kernels each read them
alone, and beside the own repository in memory, encoded by either, if the model has memory layers.
For each: the loss, and the share of tokens that it would choose as the model does.

Usage: python tests/bench/rounding.py [--model mini] [--packages 8] [--windows 4] [--tokens 10000]
or, of files that are here, --model model.gguf --repo longllama_code --repo lsp_server
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.generation.models import LoadedModel, load, load_for_engine
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.caches import LongLlamaCache
from longllama_code.research.datasets.packages import fetch, load_packages
from longllama_code.research.datasets.sources import SourceTree, read_tree
from longllama_code.research.evaluation.bootstrap import Share, interval
from longllama_code.research.evaluation.lengths.memory_size import SizeOptions, divide
from longllama_code.research.evaluation.losses import Window
from longllama_code.research.evaluation.memories import encode_files, memory_of

Read = Callable[[LoadedModel, Window, CompletionMemory | None], Tensor]


@torch.inference_mode()
def by_model(loaded: LoadedModel, window: Window, view: CompletionMemory | None) -> Tensor:
    """Log probabilities (S, V) of each token of a window but the head."""
    ids = torch.tensor([window.ids])
    out = loaded.model(ids, use_cache=False, last_context_length=len(window.ids), memory=view)
    return out.logits[0, window.n_head - 1 : -1].log_softmax(-1)


@torch.inference_mode()
def by_kernels(loaded: LoadedModel, window: Window, view: CompletionMemory | None) -> Tensor:
    """Return the same by kernels."""
    assert loaded.kernels is not None
    cache = LongLlamaCache(loaded.model.config, spills=False)
    hidden = loaded.kernels.run(window.ids, cache, view)[window.n_head - 1 : -1]
    return torch.stack([loaded.kernels.logits(row) for row in hidden]).log_softmax(-1)


CONDITIONS: dict[str, tuple[Read, str | None]] = {
    "model": (by_model, None),
    "kernels": (by_kernels, None),
    "model, own memory": (by_model, "model"),
    "kernels, memory by the model": (by_kernels, "model"),
    "kernels, own memory": (by_kernels, "kernels"),
}
"""Conditions: what reads the text, and what encoded the memory, if there is one."""


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--packages", type=int, default=8)
    parser.add_argument("--windows", type=int, default=4, help="of a package")
    parser.add_argument("--tokens", type=int, default=10_000, help="in memory")
    parser.add_argument("--repo", type=Path, action="append", help="a folder, for packages")
    options = parser.parse_args()
    plain, fast = load(options.model), load_for_engine(options.model)
    if fast.kernels is None:  # of a model that caches hold, the engine runs none
        fast = replace(plain, kernels=KernelModel(plain.model, torch.get_num_threads()))
    assert fast.kernels is not None
    print(f"kernels run it in {fast.kernels.kind}", file=sys.stderr)
    conditions = [
        name for name in CONDITIONS if plain.model.config.mem_layers or CONDITIONS[name][1] is None
    ]
    losses: dict[str, list[list[float]]] = {name: [] for name in conditions}
    alike: dict[str, list[bool]] = {name: [] for name in conditions}
    for tree in trees(options):
        rng = random.Random(f"rounding {tree.name}")
        windows, texts = divide(plain, tree, SizeOptions(windows=options.windows), rng)
        memories = {
            name: memory_of(plain, encode_files(loaded, texts, options.tokens))
            for name, loaded in (("model", plain), ("kernels", fast))
            if plain.model.config.mem_layers
        }
        for window in windows:
            read({"model": plain, "kernels": fast}, window, memories, losses, alike)
        print(tree.name, file=sys.stderr, flush=True)
    report = [line(name, losses, alike) for name in conditions]
    for each in report:
        print(json.dumps(each))
    print(json.dumps(report))


def trees(options: argparse.Namespace) -> Iterator[SourceTree]:
    """Yield the folders, or else packages."""
    for folder in options.repo or []:
        yield read_tree(folder)
    if not options.repo:
        for package in load_packages("evaluation")[: options.packages]:
            yield fetch(package)


def read(
    loaded: dict[str, LoadedModel],
    window: Window,
    memories: dict[str, RepositoryMemory],
    losses: dict[str, list[list[float]]],
    alike: dict[str, list[bool]],
) -> None:
    """Take in one window."""
    targets = torch.tensor(window.ids[window.n_head :])[:, None]
    chosen: dict[str | None, Tensor] = {}
    for name in losses:
        by, memory = CONDITIONS[name]
        view = None if memory is None else CompletionMemory(memories[memory], None)
        found = by(loaded["model" if by is by_model else "kernels"], window, view)
        losses[name].append((-found.gather(1, targets)[:, 0]).tolist())
        if by is by_model:
            chosen[memory] = found.argmax(1)
        right = chosen[None if memory is None else "model"]
        alike[name] += (found.argmax(1) == right).tolist()


def line(
    name: str, losses: dict[str, list[list[float]]], alike: dict[str, list[bool]]
) -> dict[str, object]:
    """Return one line of the report; a change comes with its 95 % interval over windows."""
    reference = "model" if CONDITIONS[name][1] is None else "model, own memory"
    shares = [
        Share(sum(mine) - sum(right), len(mine))
        for mine, right in zip(losses[name], losses[reference], strict=True)
    ]
    n_tokens = len(alike[name])
    change = interval(shares, seed=0)
    assert change is not None
    return {
        "condition": name,
        "loss": round(sum(map(sum, losses[name])) / n_tokens, 4),
        "change": [round(end, 5) for end in (change.mean, change.low or 0, change.high or 0)],
        "alike": round(sum(alike[name]) / n_tokens, 4),
        "tokens": n_tokens,
    }


if __name__ == "__main__":
    main()
