"""Cursors of CrossCodeEval with their definitions encoded piece by piece, placed before a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder, PlacedText
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_layout import excerpt_ids, head_ids
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.generation.prompting.prompt import PromptSource, build_prompt
from longllama_code.model.caches import LayerRows
from longllama_code.model.rope import rotate_half
from longllama_code.tokenizers.tokenizer import Tokenizer

DEFINITION_TOKENS = 768
MOST_ANSWER_TOKENS = 16
LINES_BEFORE = 12

Rows = tuple[Tensor, Tensor]
"""Rotated keys and values, each (layers, G, n, D)."""


@dataclass
class Model:
    """The model, and what places rows before a text."""

    loaded: LoadedModel
    shared: CompletionModel = field(init=False)

    def __post_init__(self) -> None:
        self.shared = CompletionModel(self.loaded.model, self.loaded.tokenizer, self.loaded.kernels)

    def decoder(self) -> Decoder:
        return Decoder(self.loaded.model, (), self.loaded.kernels)

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        rotary = self.loaded.model.model.rotary
        cos, sin = rotary(torch.empty(0), positions[None]).local
        return cos[0, 0].float(), sin[0, 0].float()

    def turned(self, keys: Tensor, by: int | Tensor) -> Tensor:
        """Return rotated keys at positions that are ``by`` further on."""
        by = torch.tensor([by]) if isinstance(by, int) else by
        cos, sin = self.rotation(by.abs())
        return keys * cos + rotate_half(keys) * (sin * by.sign()[:, None])


@dataclass(frozen=True, eq=False)
class Piece:
    """Tokens of an excerpt, and its keys and values behind the head, in floats."""

    ids: list[int]
    rows: Rows


@dataclass
class Cursor:
    """An instance: its tokens, and its pieces."""

    name: str
    head: list[int]
    behind: Piece
    """The head, encoded."""
    local: list[int]
    answer: list[int]
    pieces: list[Piece]
    before: list[Piece]
    """Pieces that were chosen twelve lines before."""
    near: list[int]
    """Local text of few tokens."""
    rest: list[Piece]
    """The other parts of the local text, in pieces of the open file."""


def cursor_of(model: Model, data: Path, entry: dict[str, object]) -> Cursor:
    """Return an instance's tokens, its pieces encoded."""
    tokenizer, marks = model.loaded.tokenizer, model.shared.marks
    assert marks is not None
    folder, path = data / "repos" / str(entry["repository"]), str(entry["file"])
    text, at = (folder / path).read_text("utf-8"), int(str(entry["offset"]))
    prefix, suffix = text[:at], text[at + int(str(entry["length"])) :]
    definitions = RepositoryDefinitions(tokenizer)
    for each in sorted(folder.rglob("*.py")):
        if each.relative_to(folder).as_posix() != path:
            name = each.relative_to(folder).as_posix()
            definitions.index.put(name, each.read_text("utf-8", "replace"))
    definitions.index.put(path, prefix + suffix)
    source = DefinitionPieces(definitions)
    repository = folder.name
    head = head_ids(repository, tokenizer, marks)
    earlier = "\n".join(prefix.split("\n")[: -LINES_BEFORE - 1]) + "\n"
    chosen = source.wanted(path, prefix, suffix, DEFINITION_TOKENS).excerpts
    before = source.wanted(path, earlier, prefix[len(earlier) :] + suffix, DEFINITION_TOKENS)
    known = dict[tuple[str, str], Piece]()
    for each in (*chosen, *before.excerpts):
        if (each.path, each.text) not in known:
            ids = excerpt_ids(each.path, each.text, tokenizer, marks)
            known[each.path, each.text] = Piece(ids, encoded(model, head, ids))
    prompt = build_prompt(PromptSource(path, prefix, suffix, repository), tokenizer, 3000, marks)
    near, rest = parted(tokenizer, prefix[prompt.start :], suffix[: prompt.end - len(prefix)])
    around = PromptSource(path, *near, repository)
    own = [excerpt_ids(path, text, tokenizer, marks) for text in rest]
    answer = tokenizer.encode(prompt.healed + str(entry["ground_truth"]) + "\n")
    return Cursor(
        str(entry["instance_id"]),
        head,
        Piece(head, encoded(model, [], head)),
        prompt.ids[len(head) :],
        answer[:MOST_ANSWER_TOKENS],
        [known[each.path, each.text] for each in chosen],
        [known[each.path, each.text] for each in before.excerpts],
        build_prompt(around, tokenizer, 3000, marks).ids[len(head) :],
        [Piece(ids, encoded(model, head, ids)) for ids in own],
    )


def parted(tokenizer: Tokenizer, before: str, after: str) -> tuple[tuple[str, str], list[str]]:
    """Return the lines near a cursor, on both sides, and chunks of the others."""
    lines, behind = before.splitlines(keepends=True), after.splitlines(keepends=True)
    first, last, n_tokens = len(lines) - 1, 1, 0
    while first > 0 and (n_tokens := n_tokens + len(tokenizer.encode(lines[first - 1]))) <= 160:
        first -= 1
    n_tokens = 0
    while last < len(behind) and (n_tokens := n_tokens + len(tokenizer.encode(behind[last]))) <= 48:
        last += 1
    chunks = list[str]()
    for part in (lines[:first], behind[last:]):
        chunk, n_tokens = "", 0
        for line in part:
            count = len(tokenizer.encode(line))
            if chunk and n_tokens + count > 128:
                chunks.append(chunk)
                chunk, n_tokens = "", 0
            chunk, n_tokens = chunk + line, n_tokens + count
        chunks += [chunk] if chunk.strip() else []
    return ("".join(lines[first:]), "".join(behind[:last])), [each.rstrip("\n") for each in chunks]


@torch.inference_mode()
def read(decoder: Decoder, ids: list[int], placed: PlacedText | None) -> None:
    """Process a prompt."""
    n_read = decoder.n_common([*ids, 0], None, placed)
    while n_read < len(ids):
        n_read = decoder.read(ids[: n_read + PREFILL_STEP_TOKENS], None, placed)


@torch.inference_mode()
def predictions(model: Model, decoder: Decoder, ids: list[int], answer: list[int]) -> Tensor:
    """Return log probabilities (T, V) of an answer's tokens, behind all but the last id."""
    hidden = decoder._forward([ids[-1], *answer[:-1]], None)
    assert model.loaded.kernels is not None
    logits = torch.stack([model.loaded.kernels.logits(each) for each in hidden])
    return logits.float().log_softmax(-1)


def placed(head: Piece, pieces: Sequence[Piece], name: str) -> PlacedText:
    """Return pieces at equal positions behind a head."""
    parts = [head, *pieces]
    keys, values = (torch.cat([part.rows[i] for part in parts], dim=2) for i in (0, 1))
    top = len(head.ids) + max((len(each.ids) for each in pieces), default=0)

    def write(rows: LayerRows) -> None:
        for (into_keys, into_values), its_keys, its_values in zip(rows, keys, values, strict=True):
            into_keys[:], into_values[:] = its_keys, its_values

    return PlacedText(name, tuple(head.ids), keys.shape[2], top, write)


def encoded(model: Model, head: list[int], ids: list[int]) -> Rows:
    """Return the keys and values of some tokens behind a head."""
    decoder = model.decoder()
    read(decoder, [*head, *ids], None)
    opening = decoder.snapshot()
    return opening.keys[:, :, len(head) :], opening.values[:, :, len(head) :]
