"""Tokens per second of encoding, beside a plain transformers forward of the same weights and text.

Both run in one process, alternating, on segments cut from this repository's own files. The plain
forward is transformers' Llama over the same tokens, logits included, as any engine that reads text
into a key-value cache must run all layers.

Usage: python tests/bench/encoding.py [--model mini] [--segments 24]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from longllama_code.generation.models import LoadedModel, load
from longllama_code.memory.encoder import SegmentEncoder, path_header

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
    fields = loaded.model.config.to_dict()
    known = {name: fields[name] for name in LlamaConfig().to_dict() if name in fields}
    known.pop("model_type", None)
    plain = LlamaForCausalLM(LlamaConfig(**known)).eval()
    weights = {
        name: weight for name, weight in loaded.model.state_dict().items() if "rotary" not in name
    }
    plain.load_state_dict(weights, strict=False)
    plain.tie_weights()
    return plain


def rate(work: Callable[[], int]) -> float:
    """Tokens per second of one run."""
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--segments", type=int, default=24)
    options = parser.parse_args()
    loaded = load(options.model)
    encoder = SegmentEncoder(loaded.model, loaded.tokenizer, loaded.fingerprint, loaded.limits)
    plain = plain_llama(loaded)
    ours: list[float] = []
    theirs: list[float] = []
    for header, text in segments(loaded, encoder, options.segments):
        ids = loaded.tokenizer.encode(header + text)
        batch = torch.tensor([[0, *ids]])

        def encode(header: str = header, text: str = text, n: int = len(ids)) -> int:
            encoder.encode(header, text)
            return n

        def forward(batch: torch.Tensor = batch, n: int = len(ids)) -> int:
            with torch.inference_mode():
                plain(batch, use_cache=True)
            return n

        ours.append(rate(encode))
        theirs.append(rate(forward))
    result = {
        "encoding_tokens_per_s": statistics.median(ours),
        "plain_forward_tokens_per_s": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
    }
    for name, value in result.items():
        print(f"{name:28} {value:9.2f}")
    print(json.dumps({"encoding": result, "model": options.model, "segments": len(ours)}))


if __name__ == "__main__":
    main()
