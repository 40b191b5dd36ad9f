"""Long inputs of the family's models: peak memory and time, random weights, one thread.

Each case runs in a process of its own, on a model of few layers (the last has memory), so that what
a layer takes is real and the time can be waited for.

    grouping   LongLLaMA-3B's width: the last full window of a long input, the rest put into memory
               without a forward: all queries at once, in the original's groups of (4, 2048), and
               both as they are here, where scores are bounded besides
    filled     the same width: the last tokens of a prompt behind N tokens of memory
    scaling    a Llama 2 with linear rotary scaling (factor 8), a quarter as wide: a prompt, all
               of it local, piece by piece; and through a 4k window, the rest in memory

Usage: python tests/bench/long_inputs.py [grouping|filled|scaling ...] [--tokens 32768] [--layers 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASES = {
    "grouping": ("all at once", "(4, 2048)", "(4, 2048), bounded", "bounded"),
    "filled": ("32768", "262144"),
    "scaling": ("local", "4k window and memory"),
}
UNBOUNDED = 1 << 60
MOST_SCORES = 2 << 30
"""Bytes; scores, weights and what both are made of are there at once."""
QUARTER = {"hidden_size": 1024, "intermediate_size": 2752, "num_attention_heads": 8}


def peak_bytes() -> int:
    """Return the most that was resident of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def build(name: str, n_layers: int, mem_layers: list[int], **overrides: Any) -> Any:
    """Return a model of the family with a few of its layers."""
    import torch

    from longllama_code.checkpoints.loading import config_of
    from longllama_code.checkpoints.published import FAMILY
    from longllama_code.model.modeling import LongLlamaForCausalLM

    fields = {**FAMILY[name].fields, "num_hidden_layers": n_layers, "mem_layers": mem_layers}
    torch.manual_seed(0)
    config = config_of({**fields, "torch_dtype": "float32", "torch_attention": True, **overrides})
    return LongLlamaForCausalLM(config).eval()


def grouping(case: str, n_tokens: int, n_layers: int) -> dict[str, Any]:
    """Return the last full window of a long input."""
    from longllama_code.model import attention

    heads = {"all at once": [32, 2048], "bounded": None}.get(case, [4, 2048])
    if "bounded" not in case:
        attention.MAX_SCORES = UNBOUNDED
    model = build("3b", n_layers, [n_layers - 1], mem_attention_grouping=heads)
    window = model.config.window
    return behind_memory(model, n_tokens - window, {"window": window})


def scaling(case: str, n_tokens: int, n_layers: int) -> dict[str, Any]:
    """Return one long prompt for a Llama 2 with a window of 32k."""
    if case == "local":
        return measured(build("llama-2-7b-32k", n_layers, [], **QUARTER), n_tokens, None)
    own = {**QUARTER, "max_position_embeddings": 4096}
    model = build("llama-2-7b-32k", n_layers, [n_layers - 1], **own)
    return measured(model, n_tokens, 1024)


def measured(model: Any, n_tokens: int, n_last: int | None) -> dict[str, Any]:
    """Peak and time of one input; without ``n_last``, all of it is local context."""
    import torch

    from longllama_code.research.evaluation.lengths.long_input import (
        last_losses,
        last_losses_locally,
    )

    ids = torch.randint(3, 32_000, (n_tokens,)).tolist()
    report: dict[str, Any] = {"weights_gib": peak_bytes() / 2**30}
    start = time.perf_counter()
    if n_last is None:
        last_losses_locally(model, ids, 16)
    else:
        last_losses(model, ids, n_last, 16)
    report["seconds"], report["peak_gib"] = time.perf_counter() - start, peak_bytes() / 2**30
    return {**report, "tokens_per_second": n_tokens / report["seconds"]}


def filled(case: str, _: int, n_layers: int) -> dict[str, Any]:
    """Measure a question with a memory of so many tokens."""
    model = build("3b", n_layers, [n_layers - 1])
    return behind_memory(model, int(case), {"window": model.config.last_context_length, "token": 1})


def behind_memory(model: Any, n_memory: int, passes: dict[str, int]) -> dict[str, Any]:
    """Peak and times of passes of some tokens behind a memory of random keys in the last layer."""
    import torch

    from longllama_code.model.caches import LongLlamaCache

    config = model.config
    report: dict[str, Any] = {"weights_gib": peak_bytes() / 2**30}
    cache, layer = LongLlamaCache(config), config.num_hidden_layers - 1
    shape = 1, config.n_kv_heads, config.window, config.hidden_size // config.n_kv_heads
    with torch.inference_mode():
        for _ in range(0, n_memory, config.window):
            cache.memory.absorb(layer, *torch.randn(2, *shape).unbind())
            cache.memory.absorb_visibility(torch.ones(1, config.window, dtype=torch.bool))
        report |= {"memory_gib": cache.memory.nbytes / 2**30, "filled_gib": peak_bytes() / 2**30}
        for name, n_tokens in passes.items():
            ids = torch.randint(3, 32_000, (1, n_tokens))
            start = time.perf_counter()
            model(
                ids,
                past_key_values=cache,
                use_cache=True,
                last_context_length=n_tokens,
                logits_to_keep=1,
            )
            report[f"{name}_seconds"] = time.perf_counter() - start
    state = 4 * n_memory * config.hidden_size / 2**30
    report |= {"state_gib": state, "state_gib_of_three_layers": 3 * state}
    return {**report, "peak_gib": peak_bytes() / 2**30}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.names or list(CASES)
    if options.case:
        import torch

        torch.set_num_threads(1)
        run = {"grouping": grouping, "scaling": scaling, "filled": filled}[names[0]]
        print(json.dumps(run(options.case, options.tokens, options.layers)))
        return
    report: dict[str, Any] = {"tokens": options.tokens, "layers": options.layers}
    for name in names:
        for case in CASES[name]:
            scores = 32 * 2048 * 4 * options.tokens
            if case == "all at once" and scores > MOST_SCORES:
                print(f"{name}, {case}: left out, {scores / 2**30:.1f} GiB of scores, three times")
                continue
            command = [sys.executable, __file__, name, "--case", case]
            command += ["--tokens", str(options.tokens), "--layers", str(options.layers)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{name}, {case}: exit {done.returncode}\n{done.stderr}")
            report[f"{name}, {case}"] = found = json.loads(done.stdout.splitlines()[-1])
            print(f"{name}, {case}: {json.dumps(found)}", flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
