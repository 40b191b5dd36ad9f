"""The passkey harness on LongLLaMA-3B, random weights, behind 262,144 tokens of memory.

All of it is the harness's own but for the filler: to encode that takes hours on a CPU, so its keys
and values, in all heads of all memory layers, are random, as what random weights make is. What is
hidden is encoded, and asked for. Printed: the peak of resident memory, and seconds; whether the
number is found says nothing of such a model.

Needs 7 GB of disk, and 23 GB of memory, as records that are in memory alone are copied when they
grow; what it wrote is removed in the end, unless --keep.

Usage: python tests/bench/family_passkey.py [--model 3b] [--kind int8] [--tokens 262144] [--keep]
"""

import argparse
import json
import shutil
import time
from functools import partial
from typing import Any

import torch

from longllama_code.generation.completer import Completer
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.models import LoadedModel, load, with_kernels
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.segment import EncodedSegment, page_offsets
from longllama_code.memory.segments.segmenter import Slice
from longllama_code.protocol import CompletionRequest
from longllama_code.research.evaluation.lengths import passkey as harness
from longllama_code.research.evaluation.lengths.options import PasskeyOptions
from longllama_code.research.evaluation.memories import encode_files
from tests.bench.family import default_root, peak_bytes, write

FILLER_TOKENS = 150
"""Length of the random filler's segments; the needle is shorter, and encoded for real."""
GIB = 2**30


class FillingEncoder:
    """Makes up the keys and values of long segments, which all share the same ones."""

    def __init__(self, loaded: LoadedModel) -> None:
        config = loaded.model.config
        n_heads = sum(len(config.memory_heads(layer)) for layer in config.mem_layers)
        shape = n_heads, config.window, config.hidden_size // config.num_attention_heads
        self._keys, self._values = torch.randn(2, *shape, dtype=torch.bfloat16).unbind()
        self._encoder, self._tokenizer = loaded.encoder(), loaded.tokenizer

    def cut(self, text: str) -> list[Slice]:
        """Return the segments of a file."""
        return self._encoder.cut(text)

    def encode(self, header: str, text: str) -> EncodedSegment:
        """Encode one segment, or make it up."""
        ids, spans = self._tokenizer.offsets(text)
        if len(ids) < FILLER_TOKENS:
            return self._encoder.encode(header, text)
        return EncodedSegment(
            self._encoder.identity(header, text),
            self._keys[:, : len(ids)],
            self._values[:, : len(ids)],
            torch.tensor(ids, dtype=torch.int32),
            page_offsets(spans),
        )


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="3b")
    parser.add_argument("--kind", default="int8")
    parser.add_argument("--tokens", type=int, default=262_144)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    root = default_root()
    write(root / options.model, options.model)
    report: dict[str, Any] = {"model": options.model, "kind": options.kind}
    loaded = with_kernels(load(f"{root / options.model}:{options.kind}"))
    report["loaded_gib"] = peak_bytes() / GIB
    seconds: list[float] = []

    def make_answer(_: LoadedModel, memory: RepositoryMemory) -> harness.Answer:
        completer = Completer(
            CompletionModel(loaded.model, loaded.tokenizer, loaded.kernels), memory
        )

        def timed(request: CompletionRequest) -> str:
            start = time.perf_counter()
            text = completer.complete(request, lambda: False).text
            seconds.append(time.perf_counter() - start)
            return text

        return timed

    harness.encode_files = partial(encode_files, encoder=FillingEncoder(loaded))
    began = time.perf_counter()
    asked = PasskeyOptions(lengths=(options.tokens,), depths=(0.5,), trials=1, kinds=("passkey",))
    result = harness.passkey(loaded, [], asked, print, make_answer)
    (trial,) = result.trials
    report |= {
        "memory_tokens": trial.memory_tokens,
        "token_bytes": loaded.record_format.n_bytes,
        "with_memory_s": seconds[0],
        "without_s": seconds[1],
        "all_s": time.perf_counter() - began,
        "peak_gib": peak_bytes() / GIB,
    }
    if not options.keep:
        shutil.rmtree(root)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
