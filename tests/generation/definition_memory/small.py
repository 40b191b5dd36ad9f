"""A small code model by torch and by kernels, its decoders, and the form computed in one pass."""

from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.generation.decoding.decoder import Decoder, PlacedText
from longllama_code.generation.decoding.stored_openings import Opening
from longllama_code.generation.definition_memory.kept_definitions import (
    KeptDefinitions,
    open_store,
)
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.definition_memory.rounding import CosSin, RoundedFormat, Rows
from longllama_code.generation.prompting.definition_layout import DefinitionLayout, head_ids
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prompt import Excerpt
from longllama_code.model.by_kernels.kernel_model import KernelModel
from longllama_code.model.modeling import LongLlamaForCausalLM
from tests.code_model import TOKENIZER, code_model
from tests.model.test_kernel_model import rounded

MARKS = InfillMarks.named(TOKENIZER)
assert MARKS is not None
HEAD = head_ids("port", TOKENIZER, MARKS)
"""First ids of every prompt."""
OWN = TOKENIZER.encode("office.py\ndef arrive(name):\n    return ship.")
"""Ids of the open file."""
CONFIG = code_model().model.config
EXCERPTS = (
    Excerpt("harbour/ship.py", "class Ship:\n    def dues(self, rate): ..."),
    Excerpt("harbour/berth.py", "def moor(ship, berth): ..."),
    Excerpt("tide.py", "HIGH = 12"),
)


@cache
def kernel_model() -> KernelModel:
    return KernelModel(code_model().model)


@cache
def torch_model() -> LongLlamaForCausalLM:
    """The model with the weights that the kernels compute with."""
    return rounded(code_model().model)


def decoder(*, by_kernels: bool) -> Decoder:
    return Decoder(torch_model(), (), kernel_model() if by_kernels else None)


class ExactFormat(RoundedFormat):
    """Keeps every bit of keys and values, so that what is placed can be compared to the bit."""

    def n_bytes(self, n_tokens: int) -> int:
        return 2 * 4 * self.n_layers * self.n_heads * self.head_dim * n_tokens

    def pack(self, opening: Opening, rotation: CosSin) -> Tensor:
        return torch.stack((opening.keys, opening.values)).view(torch.uint8).flatten()

    def spread(self, content: Tensor, rotation: CosSin, rows: Rows, at: int) -> None:
        n_tokens = len(rotation[0])
        floats = content[: self.n_bytes(n_tokens)].clone().view(torch.float32)
        shape = 2, self.n_layers, self.n_heads, n_tokens, self.head_dim
        for (keys, values), its_keys, its_values in zip(
            rows.layers, *floats.view(shape), strict=True
        ):
            keys[:, at : at + n_tokens], values[:, at : at + n_tokens] = its_keys, its_values


def memory(
    *,
    by_kernels: bool,
    folder: Path | None = None,
    exact: bool = True,
    max_bytes: int | None = None,
    value_bits: int = 4,
) -> DefinitionMemory:
    rounded = (ExactFormat if exact else RoundedFormat).of(CONFIG, value_bits)
    kept = KeptDefinitions(open_store(folder, max_bytes), rounded, "coder", max_bytes)
    assert MARKS is not None
    make = partial(decoder, by_kernels=by_kernels)
    return DefinitionMemory(make, torch_model().model.rotary, TOKENIZER, MARKS, kept)


def rows_of(placed: PlacedText) -> Tensor:
    """Keys and values of what is placed before a prompt, (2, layers, G, rows, D)."""
    head_dim = CONFIG.head_dim or CONFIG.hidden_size // CONFIG.num_attention_heads
    shape = 2, CONFIG.num_hidden_layers, CONFIG.n_kv_heads, placed.n_rows, head_dim
    rows = torch.empty(shape)
    placed.write(list(zip(*rows, strict=True)))
    return rows


def encode(into: DefinitionMemory, *excerpts: Excerpt, repository: str = "port") -> None:
    for each in excerpts:
        for _ in into.encode(repository, each):
            pass


@torch.inference_mode()
def in_one_pass(head: list[int], excerpts: list[list[int]], own: list[int]) -> Tensor:
    """Hidden states of the open file's tokens, from one pass with the form's positions and mask."""
    layout, model = DefinitionLayout.of(head, excerpts), torch_model().model
    ids = [*head, *(each for excerpt in excerpts for each in excerpt), *own]
    positions = [*layout.positions, *range(layout.top, layout.top + len(own))]
    groups = [0] * len(head)
    for number, excerpt in enumerate(excerpts, 1):
        groups += [number] * len(excerpt)
    of = torch.tensor([*groups, *([-1] * len(own))])
    sees = (of[None] == of[:, None]) | (of[None] == 0) | (of[:, None] == -1)
    visible = (sees & torch.ones(len(ids), len(ids), dtype=torch.bool).tril())[None, None]
    hidden = model.embed_tokens(torch.tensor([ids]))
    run = model.run_layers(hidden, torch.tensor([positions]), visible)
    for _, hidden, _, _ in run:  # noqa: B007 - the last one counts
        pass
    return model.norm(hidden)[0, -len(own) :]
