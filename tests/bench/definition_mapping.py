"""Seconds to map definitions that are encoded into the cache, for one request, and bytes a token.

Pieces of random keys and values in the sizes of ``coder-0.5b`` lie in a store on disk; no model is
needed. Every round maps them into a cache that held as many rows before, as a new choice does.

Usage: python tests/bench/definition_mapping.py [--pieces 16] [--tokens 48] [--rounds 20]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from longllama_code.config import LongLlamaConfig
from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.kept_definitions import KeptDefinitions
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.model.caches import LongLlamaCache
from longllama_code.model.rope import Rotary
from longllama_code.tokenizers.tokenizer import ByteTokenizer

CONFIG = LongLlamaConfig(
    vocab_size=151_936,
    hidden_size=896,
    intermediate_size=4864,
    max_position_embeddings=32_768,
    tie_word_embeddings=True,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    rope_parameters={"rope_type": "default", "rope_theta": 1e6},
)
MARKS = InfillMarks((1, 2), (3,), file=4, repository=5, always=True)


def milliseconds(work: Callable[[], Any], n_rounds: int) -> tuple[float, Any]:
    """Return the median of some rounds' processor milliseconds, and the last result."""
    times, result = list[float](), None
    for _ in range(n_rounds):
        start = time.process_time()
        result = work()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)

    def no_decoder() -> Any:
        raise AssertionError("nothing is encoded here, and there is no head")

    with tempfile.TemporaryDirectory() as folder:
        kept = KeptDefinitions.on_disk(Path(folder), CONFIG, "bench", None)
        memory = DefinitionMemory(no_decoder, Rotary(CONFIG), ByteTokenizer(), MARKS, kept)
        setattr(memory, "_head_of", lambda _: ())  # noqa: B010 - no head is encoded here
        texts = [f"{n:03}" + "x" * (options.tokens - 7) for n in range(options.pieces)]
        excerpts = [Excerpt("p", text) for text in texts]
        shape = CONFIG.num_hidden_layers, CONFIG.n_kv_heads, options.tokens, 64
        for each in excerpts:
            assert len(memory._ids_of(each.path, each.text)) == options.tokens
            opening = Opening(torch.randn(shape), torch.randn(shape))
            rotation = memory._rotation(0, options.tokens)
            kept.put(memory._identity("", each), opening, rotation)
        cache = LongLlamaCache(CONFIG, spills=False)

        def find() -> Any:
            return memory.placed("", excerpts, 1 << 20)

        with torch.inference_mode():
            finding, placed = milliseconds(find, options.rounds)

            def place() -> None:
                cache.truncate(0)
                place_into(cache, placed)

            place()
            placing, _ = milliseconds(place, options.rounds)
        n_bytes = kept._rounded.n_bytes(options.tokens) / options.tokens
        print(f"finding {finding:.2f} ms, placing {placing:.2f} ms, {n_bytes:.0f} bytes a token")
        kept.close()


def place_into(cache: LongLlamaCache, placed: Any) -> None:
    like = torch.empty(CONFIG.n_kv_heads, placed.n_rows, 64)
    placed.write(cache.room_for(like, placed.following))


if __name__ == "__main__":
    main()
