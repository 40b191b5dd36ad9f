"""Encoding of LongLLaMA-3B and Code 7B, whole, beside a plain transformers forward of the weights.

Both models share their matrices, random ones in 8 bits that are made in memory, so that 7B fits.
Ours runs up to the last memory layer's keys and values, transformers' Llama to its logits.
Alternating, in one process, one thread; in seconds of CPU time, which other jobs hardly change.

Usage: python tests/bench/family_encoding.py [--models 3b code-7b] [--tokens 128] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from longllama_code.checkpoints.loading import config_of
from longllama_code.checkpoints.published import FAMILY
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.rope import Rotary
from longllama_code.model.rounded.quantized import Int8Linear


def models(name: str) -> tuple[LongLlamaForCausalLM, LlamaForCausalLM]:
    """Ours and transformers', with the same weights."""
    fields = {**FAMILY[name].fields, "torch_attention": True}
    config = config_of(fields)
    known = {key: fields[key] for key in LlamaConfig().to_dict() if key in fields}
    known = {**known, "model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    with torch.device("meta"):
        ours, plain = LongLlamaForCausalLM(config), LlamaForCausalLM(LlamaConfig(**known))
    for path, module in list(ours.named_modules()):
        made = _made(module)
        if made is not None:
            ours.set_submodule(path, made)
            plain.set_submodule(path, made)
    ours.model.rotary = Rotary(config)
    plain.model.rotary_emb = LlamaRotaryEmbedding(plain.config)
    assert not any(part.is_meta for model in (ours, plain) for part in model.parameters())
    return ours.eval(), plain.eval()


def _made(module: nn.Module) -> nn.Module | None:
    """Return the module with random content, if it has weights of its own."""
    if isinstance(module, nn.Linear):
        shape = module.out_features, module.in_features
        rows = torch.randint(-127, 128, shape, dtype=torch.int8)
        return Int8Linear(rows, torch.full(shape[:1], 0.02 / 73))
    if isinstance(module, nn.Embedding):
        return nn.Embedding(module.num_embeddings, module.embedding_dim)
    if type(module).__name__ == "LlamaRMSNorm":
        size: Any = cast("torch.Tensor", module.weight).shape[0]
        return type(module)(size, module.variance_epsilon)
    return None


def rate(n_tokens: int, work: Callable[[], Any]) -> float:
    """Return tokens per second of CPU time of one run."""
    start = time.process_time()
    work()
    return n_tokens / (time.process_time() - start)


@torch.inference_mode()
def measure(name: str, n_tokens: int, rounds: int) -> dict[str, Any]:
    """Rates of both, and their ratio in each round."""
    ours, plain = models(name)
    ids = torch.randint(3, 32_000, (1, n_tokens))
    encoding: list[float] = []
    forward: list[float] = []
    for _ in range(rounds):
        encoding.append(rate(n_tokens, lambda: ours.model.encode_memory(ids)))
        forward.append(rate(n_tokens, lambda: plain(ids, use_cache=True)))
    ratios = [mine / theirs for mine, theirs in zip(encoding, forward, strict=True)]
    return {
        "encoding_tokens_per_cpu_s": statistics.median(encoding),
        "plain_forward_tokens_per_cpu_s": statistics.median(forward),
        "ratios": ratios,
        "ratio": statistics.median(ratios),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["3b", "code-7b"])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = {"tokens": options.tokens, "rounds": options.rounds}
    for name in options.models:
        report[name] = measure(name, options.tokens, options.rounds)
        print(name, json.dumps(report[name]), flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
