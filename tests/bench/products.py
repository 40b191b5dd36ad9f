"""Products a second of our tiles beside libraries, on the same shapes, in one run.

A product multiplies inputs (S, K) with weights (N, K): S tokens, the shape of a layer's largest
matrix. Ours reads the blocks of a GGUF file, and codes in 8 bits. Beside them, as far as this
machine and this torch have them: torch's float32 and bfloat16 products, its 8-bit linear (inputs
rounded for all rows together), and its products with weights in 8 bits. All take turns, several
times; the median counts, of one thread by processor time. A billion products are 10^9
multiplications with their additions.

llama.cpp's own benchmark reads a whole prompt, so it is compared with a whole prompt of ours: with
--llama-bench PROGRAM, both as tokens a second, and as products of the weights of all layers.

Usage: python tests/bench/products.py [--rows 1 64] [--threads 1 2] [--rounds 5]
[--model coder-0.5b] [--llama-bench llama-bench]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from longllama_code.generation.models import LoadedModel, load_for_engine
from longllama_code.kernels.matrices.quantized import QuantizedMatrix
from longllama_code.kernels.sharing.threads import Threads
from longllama_code.model.caches import LongLlamaCache
from longllama_code.paths import cache_root

Run = Callable[[], object]
LEAST_S = 0.05
"""Least time of one measurement; shorter work is repeated."""
PROMPT_TOKENS = 256


def ours(loaded: LoadedModel, inputs: torch.Tensor, threads: Threads) -> Iterator[tuple[str, Run]]:
    """Return our products with a layer's largest matrix."""
    assert loaded.kernels is not None
    matrix: Any = loaded.kernels._layers[0].gate_up
    array = inputs.numpy()
    kinds = "+".join(dict.fromkeys(part.kind for part in getattr(matrix, "parts", [])))
    yield f"ours, {kinds or loaded.kernels.kind}", lambda: matrix.times(array, threads)
    linear = nn.Linear(inputs.shape[1], n_outputs(loaded), bias=False)
    if QuantizedMatrix.fits(linear.in_features):
        codes = QuantizedMatrix.of(linear.weight.detach().numpy())
        yield "ours, 8 bits", lambda: codes.times(array, threads)


def n_outputs(loaded: LoadedModel) -> int:
    """Return the number of outputs of that matrix."""
    return 2 * loaded.model.config.intermediate_size


def of_torch(inputs: torch.Tensor, n: int) -> Iterator[tuple[str, Run]]:
    """Return torch's products, those that this machine has."""
    n_rows, k = inputs.shape
    weights = torch.randn(n, k)
    yield "torch float32", lambda: inputs @ weights.T
    small, narrow = inputs.bfloat16(), weights.bfloat16()
    yield "torch bfloat16", lambda: small @ narrow.T
    for engine in torch.backends.quantized.supported_engines:
        if engine in ("fbgemm", "onednn"):
            yield from _dynamic(engine, inputs, n)
    codes, scales = weights.to(torch.int8), torch.ones(n)
    yield "torch 8-bit weights", lambda: torch._weight_int8pack_mm(small, codes, scales.bfloat16())  # pyright: ignore[reportPrivateImportUsage]
    if n_rows > 16:
        eight = inputs.to(torch.int8)
        yield "torch int8 x int8", lambda: torch._int_mm(eight, codes.T)  # pyright: ignore[reportPrivateImportUsage]


def _dynamic(engine: str, inputs: torch.Tensor, n: int) -> Iterator[tuple[str, Run]]:
    """Return the 8-bit linear of one of torch's engines."""
    torch.backends.quantized.engine = engine
    rounded = torch.quantize_per_tensor(torch.randn(n, inputs.shape[1]), 0.01, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(rounded, None)
    yield (
        f"torch 8-bit linear, {engine}",
        lambda: torch.ops.quantized.linear_dynamic(inputs, packed, True),
    )


def seconds(run: Run, n_threads: int) -> float:
    """Return the time of one product; of one thread, what the processor did for it.

    So other work on the machine takes little part in the comparison of single threads.
    """
    clock = time.process_time if n_threads == 1 else time.perf_counter
    n_times, started = 0, clock()
    while n_times == 0 or clock() - started < LEAST_S:
        run()
        n_times += 1
    return (clock() - started) / n_times


def works(runs: Iterator[tuple[str, Run]]) -> dict[str, Run]:
    """Return those that run here; say why others do not."""
    found: dict[str, Run] = {}
    for name, run in runs:
        try:
            run()
            found[name] = run
        except (RuntimeError, NotImplementedError) as error:
            print(f"  {name}: not here ({str(error).splitlines()[0][:90]})")
    return found


def compare(loaded: LoadedModel, n_rows: int, n_threads: int, n_rounds: int) -> dict[str, float]:
    """Measure all with so many rows and threads; print and return billion products a second."""
    torch.set_num_threads(n_threads)
    k, n = loaded.model.config.hidden_size, n_outputs(loaded)
    inputs = torch.randn(n_rows, k)
    print(f"{n_rows} rows, {k} to {n}, {n_threads} thread{'s' if n_threads > 1 else ''}")
    threads = Threads(n_threads)
    runs = {**works(ours(loaded, inputs, threads)), **works(of_torch(inputs, n))}
    rounds = [
        {name: seconds(run, n_threads) for name, run in runs.items()} for _ in range(n_rounds)
    ]
    products = n_rows * k * n / 1e9
    found = {name: products / statistics.median(r[name] for r in rounds) for name in runs}
    first = next(iter(runs))
    for name, rate in sorted(found.items(), key=lambda each: -each[1]):
        ratios = [r[first] / r[name] for r in rounds]
        print(
            f"  {name:32} {rate:7.1f} billion/s, {statistics.median(ratios):5.2f} times ours"
            f" ({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )
    return found


def prompts(loaded: LoadedModel, program: str, gguf: Path, n_threads: int, n_rounds: int) -> None:
    """Compare whole prompts with llama.cpp's benchmark, in turn, and print."""
    assert loaded.kernels is not None
    kernels, cache = loaded.kernels, LongLlamaCache(loaded.model.config, spills=False)
    kernels._threads = Threads(n_threads)
    ids = [100 + 7 * index % 5000 for index in range(PROMPT_TOKENS)]
    rounds: list[tuple[float, float]] = []
    for _ in range(n_rounds):
        cache.truncate(0)
        started = time.perf_counter()
        kernels.run(ids, cache, None)
        mine = PROMPT_TOKENS / (time.perf_counter() - started)
        rounds.append((mine, of_llama_bench(program, gguf, n_threads)))
    mine, other = (statistics.median(side) for side in zip(*rounds, strict=True))
    weights = sum(layer.nbytes for layer in kernels._layers) / 1e6
    ratios = [a / b for a, b in rounds]
    print(
        f"a prompt of {PROMPT_TOKENS}, {n_threads} threads: ours {mine:.1f}, llama.cpp {other:.1f} "
        f"tokens/s, ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f});"
        f" {n_weights(loaded) / 1e9 * mine:.1f} and {n_weights(loaded) / 1e9 * other:.1f} billion"
        f" products/s over {weights:.0f} MB of layers",
        flush=True,
    )


def n_weights(loaded: LoadedModel) -> int:
    """Return the number of weights of all layers, each multiplied once for a token."""
    config = loaded.model.config
    head = config.head_dim or config.hidden_size // config.num_attention_heads
    own = config.hidden_size * head * (2 * config.num_attention_heads + 2 * config.n_kv_heads)
    return config.num_hidden_layers * (own + 3 * config.hidden_size * config.intermediate_size)


def of_llama_bench(program: str, gguf: Path, n_threads: int) -> float:
    """Return tokens a second of a prompt, by llama.cpp's own benchmark."""
    options = ["-m", str(gguf), "-p", str(PROMPT_TOKENS), "-n", "0", "-r", "1", "-o", "json"]
    command = [program, *options, "-t", str(n_threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)[0]["avg_ts"])


def gguf_of(model: str) -> Path:
    """Return the file of a model of the catalog that was pulled."""
    return next((cache_root() / "models").glob(f"{model}-*/model.gguf"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--llama-bench", help="llama.cpp's program; compares whole prompts, too")
    parser.add_argument("--gguf", type=Path, help="the model's file, for that program")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_for_engine(options.model)
    with torch.inference_mode():
        for n_threads in dict.fromkeys(options.threads):
            for n_rows in options.rows:
                compare(loaded, n_rows, n_threads, options.rounds)
            if options.llama_bench:
                gguf = options.gguf or gguf_of(options.model)
                prompts(loaded, options.llama_bench, gguf, n_threads, min(3, options.rounds))


if __name__ == "__main__":
    main()
