"""Time of a forward pass, and its bandwidth compared with a plain sum over memory.

Passes of 1, 4, 8 and 16 tokens behind 500 tokens of local context, without memory, one after the
other in every round, as the engine makes them on a CPU. Every pass reads all weights once: their
bytes by its time are to be compared with what a sum over as many numbers as no cache holds reads.

With `--dtype float32` torch makes the passes, and `--compile` has them made once more by compiled
layers: that is the same work in another way, so that what counts is the ratio.

Usage: python tests/bench/passes.py [--model mini] [--rounds 40] [--dtype float32 [--compile]]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch

from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.models import LoadedModel, load_for_engine

SIZES = (1, 4, 8, 16)
CONTEXT_TOKENS = 500
SUMMED_BYTES = 512 << 20


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def decoders(loaded: LoadedModel) -> dict[str, Decoder]:
    """Return the implementations of a pass by name."""
    if loaded.kernels is not None:
        return {"kernels": Decoder(loaded.model, (), loaded.kernels)}
    found = {"torch": Decoder(loaded.model)}
    return found if loaded.compiled is None else found | {"compiled": Decoder(loaded.compiled)}


def n_bytes(loaded: LoadedModel) -> int:
    """Return the bytes of the weights that every pass reads."""
    if loaded.kernels is not None:
        return loaded.kernels.nbytes
    return sum(weights.nbytes for weights in loaded.model.parameters())


@torch.inference_mode()
def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.perf_counter()
    loaded = load_for_engine(options.model, options.device, options.dtype, compile=options.compile)
    print(f"loaded in {time.perf_counter() - start:.1f} s")
    if loaded.not_compiled is not None:
        raise SystemExit(loaded.not_compiled)
    vocabulary = loaded.model.config.vocab_size
    ids = torch.randint(vocabulary // 100, vocabulary, (CONTEXT_TOKENS + max(SIZES),)).tolist()
    numbers = torch.ones(SUMMED_BYTES // 4)
    made_by = decoders(loaded)
    for decoder in made_by.values():
        decoder.prefill(ids[: CONTEXT_TOKENS + 1], None, lambda: False)

    def one_pass(decoder: Decoder, n: int) -> float:
        took = seconds(lambda: decoder._forward(ids[-n:], None).sum().item())
        decoder._keep(CONTEXT_TOKENS)
        return took

    times: dict[str, dict[int, list[float]]] = {name: {n: [] for n in SIZES} for name in made_by}
    sums: list[float] = []
    for _ in range(options.rounds):
        for n in SIZES:
            for name, decoder in made_by.items():
                times[name][n].append(one_pass(decoder, n))
        sums.append(seconds(numbers.sum))
    summed = SUMMED_BYTES / statistics.median(sums) / 1e9
    report: dict[str, object] = {"sum_gb_s": summed}
    print(f"{n_bytes(loaded):,} bytes of weights; a sum reads {summed:.1f} GB/s")
    for name, of_sizes in times.items():
        passes = {n: 1000 * statistics.median(measured) for n, measured in of_sizes.items()}
        read = n_bytes(loaded) / passes[1] / 1e6
        said = ", ".join(f"{ms:.1f}" for ms in passes.values())
        print(f"{name}: {said} ms for {', '.join(map(str, SIZES))} tokens")
        print(f"{name}: weights read at {read:.1f} GB/s ({read / summed:.0%} of a sum)")
        report[name] = {"pass_ms": passes, "weights_gb_s": read}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
