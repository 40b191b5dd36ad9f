"""Tokens per second of encoding, beside a plain transformers forward of the same weights and text.

All run in one process, alternating, on segments cut from this repository's own files: the product's
encoder, which goes through kernels where there are any; the model in float32; and a plain forward,
which is transformers' Llama over the same tokens, logits included, as any engine that reads text
into a key-value cache must run all layers.

Usage: python tests/bench/encoding.py [--model mini] [--segments 24]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.segments.encoder import SegmentEncoder
from longllama_code.memory.segments.identity import path_header
from longllama_code.model.by_kernels.kernel_model import KernelModel

SOURCES = Path(__file__).parents[2]


def segments(loaded: LoadedModel, encoder: SegmentEncoder, n: int) -> list[tuple[str, str]]:
    """Header and text of some segments of this repository."""
    found: list[tuple[str, str]] = []
    for path in sorted((SOURCES / "longllama_code").rglob("*.py")):
        text = path.read_text("utf-8")
        header = path_header(path.relative_to(SOURCES).as_posix())
        found += [(header, text[piece.start : piece.end]) for piece in encoder.cut(text)]
    return found[:n]


def plain_llama(loaded: LoadedModel) -> LlamaForCausalLM:
    """Transformers' own Llama with the same weights."""
    fields = loaded.trainable.config.to_dict()
    known = {name: fields[name] for name in LlamaConfig().to_dict() if name in fields}
    known.pop("model_type", None)
    plain = LlamaForCausalLM(LlamaConfig(**known)).eval()
    weights = {
        name: weight for name, weight in loaded.model.state_dict().items() if "rotary" not in name
    }
    plain.load_state_dict(weights, strict=False)
    plain.tie_weights()
    return plain


def rate(work: Callable[[], object], n_tokens: int) -> float:
    """Return tokens per second of one run."""
    start = time.perf_counter()
    work()
    return n_tokens / (time.perf_counter() - start)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--segments", type=int, default=24)
    options = parser.parse_args()
    loaded = load(options.model)
    plain = plain_llama(loaded)
    in_floats = loaded.encoder()
    kernels = KernelModel(loaded.model, torch.get_num_threads())
    encoder = replace(loaded, kernels=kernels).encoder()
    rates: dict[str, list[float]] = {"encoding": [], "in_floats": [], "plain_forward": []}
    for header, text in segments(loaded, encoder, options.segments):
        ids = loaded.tokenizer.encode(header + text)
        batch = torch.tensor([[0, *ids]])

        def forward(batch: torch.Tensor = batch) -> None:
            with torch.inference_mode():
                plain(batch, use_cache=True)

        work = partial(encoder.encode, header, text), partial(in_floats.encode, header, text)
        for of_kind, run in zip(rates.values(), (*work, forward), strict=True):
            of_kind.append(rate(run, len(ids)))
    medians = {name: statistics.median(of_kind) for name, of_kind in rates.items()}
    result: dict[str, float] = {f"{name}_tokens_per_s": value for name, value in medians.items()}
    for name in ("encoding", "in_floats"):
        pairs = zip(rates[name], rates["plain_forward"], strict=True)
        result[f"{name}_ratio"] = statistics.median(a / b for a, b in pairs)
    result["threads"] = kernels.threads.n_threads
    for name, value in result.items():
        print(f"{name:28} {value:9.2f}")
    print(json.dumps({"encoding": result, "model": options.model, "segments": options.segments}))


if __name__ == "__main__":
    main()
