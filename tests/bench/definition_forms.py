"""Forms of definitions as memory: how far their predictions at real cursors are from others'.

For each instance of CrossCodeEval: the pieces of its cursor are encoded alone, in floats, and
placed before the local text in several forms. Each form's predictions of the answer's tokens are
compared with those of memory in floats and with those of the same definitions in the prompt (mean
divergence in nats, share of likeliest tokens alike, loss). Two groups of forms:

- ``short``: the local text is the last 192 tokens before the cursor, so that one form costs little.
  Rounded keys and values, memory's scores by a factor, every piece twice, and the first tokens of
  each piece encoded again behind the pieces before it.
- ``whole``: the product's own local text. What was read behind another choice stays as it is, and
  the choice alone is exchanged; the other choice is that of twelve lines before, or none. And a
  local text of some 200 tokens, the rest of it in memory as well, or left out.

A line of JSON for each instance and form is appended to RESULTS; those that are there are not
measured again.

Usage: python tests/bench/definition_forms.py DATA RESULTS INSTANCE... [--groups short whole]
       python tests/bench/definition_forms.py --table RESULTS
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder, PlacedText
from longllama_code.generation.models import LoadedModel, load_for_engine
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_layout import excerpt_ids, head_ids
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.generation.prompting.prompt import PromptSource, build_prompt
from longllama_code.model.caches import LayerRows
from longllama_code.model.rope import rotate_half
from longllama_code.tokenizers.tokenizer import Tokenizer

DEFINITION_TOKENS = 768
SHORT_TOKENS = 192
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
    """What the local text has besides, in pieces of the open file."""


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
    decoder = model.decoder()
    read(decoder, [*head, *ids], None)
    opening = decoder.snapshot()
    return opening.keys[:, :, len(head) :], opening.values[:, :, len(head) :]


def memory_form(
    model: Model, cursor: Cursor, local: list[int], change: Callable[[list[Piece]], list[Piece]]
) -> Tensor:
    """Return predictions with pieces, changed somehow, before a local text."""
    head = cursor.behind
    before = placed(head, change(cursor.pieces), "memory")
    decoder, ids = model.decoder(), [*cursor.head, *local]
    read(decoder, ids[:-1], before)
    return predictions(model, decoder, ids, cursor.answer)


def prompt_form(model: Model, cursor: Cursor, local: list[int]) -> Tensor:
    """Return predictions with the pieces in the prompt, one behind the other."""
    shown = [each for piece in cursor.pieces for each in piece.ids]
    decoder, ids = model.decoder(), [*cursor.head, *shown, *local]
    read(decoder, ids[:-1], None)
    return predictions(model, decoder, ids, cursor.answer)


def alone_form(model: Model, cursor: Cursor, local: list[int]) -> Tensor:
    return memory_form(model, cursor, local, lambda pieces: [])


# Rounding, by groups along tokens (keys' channels) or along channels (values of a token).


def by_steps(numbers: Tensor, bits: int, dim: int) -> Tensor:
    """Round numbers to equal steps between the least and the greatest along a dimension."""
    low, high = numbers.aminmax(dim=dim, keepdim=True)
    low, step = low.half().float(), ((high - low) / (2**bits - 1)).clamp_min(1e-8).half().float()
    step = step.clamp_min(1e-7)
    return ((numbers - low) / step).round().clamp(0, 2**bits - 1) * step + low


def in_groups(numbers: Tensor, bits: int, dim: int, size: int) -> Tensor:
    """Round in groups of some numbers along a dimension."""
    parts = numbers.split(size, dim)
    return torch.cat([by_steps(part, bits, dim) for part in parts], dim)


def spread_evenly(numbers: Tensor) -> Tensor:
    """Multiply vectors (…, D) with an orthogonal matrix that spreads outliers (Hadamard's)."""
    size = numbers.shape[-1]
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return numbers @ (matrix / size**0.5)


def rounded(
    model: Model,
    n_head: int,
    key_bits: int,
    value_bits: int,
    value_group: int = 64,
    *,
    spreads: bool = False,
    first_layers: int = 0,
) -> Callable[[list[Piece]], list[Piece]]:
    """Return a function that rounds pieces: keys without rotation by channel, values by token."""

    def change(pieces: list[Piece]) -> list[Piece]:
        changed = list[Piece]()
        for piece in pieces:
            positions = torch.arange(n_head, n_head + len(piece.ids))
            keys, values = model.turned(piece.rows[0].float(), -positions), piece.rows[1].float()
            of_keys = in_groups(keys, key_bits, 2, 128)
            if key_bits < 8 and first_layers:
                of_keys[:first_layers] = in_groups(keys[:first_layers], 8, 2, 128)
            of_values = spread_evenly(values) if spreads else values
            of_values = in_groups(of_values, value_bits, 3, value_group)
            of_values = spread_evenly(of_values) if spreads else of_values
            changed.append(Piece(piece.ids, (model.turned(of_keys, positions), of_values)))
        return changed

    return change


def scaled(factor: float) -> Callable[[list[Piece]], list[Piece]]:
    """Return a function that multiplies memory's scores."""
    return lambda pieces: [
        replace(piece, rows=(piece.rows[0] * factor, piece.rows[1])) for piece in pieces
    ]


def begun_again(model: Model, cursor: Cursor, n_first: int) -> list[Piece]:
    """Return pieces whose first tokens are encoded again behind the pieces before them."""
    head, changed = Piece(cursor.head, encoded(model, [], cursor.head)), list[Piece]()
    for piece in cursor.pieces:
        if not changed:
            changed.append(piece)
            continue
        seen = placed(head, changed, f"again {len(changed)}")
        # They keep their positions, which begin behind the head.
        at_head = replace(seen, following=len(cursor.head))
        decoder, n_new = model.decoder(), min(n_first, len(piece.ids))
        with torch.inference_mode():
            decoder._go_back([*cursor.head, -1], None, at_head)
            decoder._forward(piece.ids[:n_new], None)
            opening = decoder.snapshot()
        rows = tuple(part.clone() for part in piece.rows)
        rows[0][:, :, :n_new] = opening.keys[:, :, seen.n_rows :]
        rows[1][:, :, :n_new] = opening.values[:, :, seen.n_rows :]
        changed.append(Piece(piece.ids, (rows[0], rows[1])))
    return changed


@torch.inference_mode()
def exchanged_form(model: Model, cursor: Cursor, before: list[Piece]) -> dict[str, Tensor]:
    """Return predictions with a local text read behind other pieces, and with these exchanged."""
    head = cursor.behind
    decoder, ids = model.decoder(), [*cursor.head, *cursor.local]
    first = placed(head, before, "before")
    then = replace(placed(head, cursor.pieces, "then"), exchanges=True)
    read(decoder, ids[:-1], first)
    stays = predictions(model, decoder, ids, cursor.answer)
    decoder.read(ids[:-1], None, then)
    assert decoder.is_stale or not cursor.pieces
    return {"stays": stays, "exchanged": predictions(model, decoder, ids, cursor.answer)}


def short_forms(model: Model, cursor: Cursor) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    local = cursor.local[-SHORT_TOKENS:]
    form, near = partial(memory_form, model, cursor, local), partial(rounded, model)
    n_head = len(cursor.head)
    yield "memory", lambda: form(list)
    yield "prompt", lambda: prompt_form(model, cursor, local)
    yield "alone", lambda: alone_form(model, cursor, local)
    yield "keys 8, values 4", lambda: form(near(n_head, 8, 4))
    yield "keys 4, values 4", lambda: form(near(n_head, 4, 4))
    yield "keys 4, values 2", lambda: form(near(n_head, 4, 2, 32))
    yield "keys 4, values 2 spread", lambda: form(near(n_head, 4, 2, 64, spreads=True))
    yield "keys 3, values 2 spread", lambda: form(near(n_head, 3, 2, 64, spreads=True))
    yield "scores × 0.9", lambda: form(scaled(0.9))
    yield "scores × 1.1", lambda: form(scaled(1.1))
    yield "every piece twice", lambda: form(lambda pieces: [*pieces, *pieces])
    for n_first in (16,):
        yield (
            f"first {n_first} again",
            lambda n=n_first: form(lambda pieces: begun_again(model, cursor, n)),
        )


def whole_forms(model: Model, cursor: Cursor) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    found = dict[str, Tensor]()

    yield "memory", lambda: memory_form(model, cursor, cursor.local, list)
    for name, pieces in (("12 lines before", cursor.before), ("none", [])):
        for key in ("exchanged", "stays"):
            yield (
                f"{name}: {key}",
                lambda name=f"{name}: {key}", pieces=pieces: (
                    found[name]
                    if name in found
                    else _kept(found, name, exchanged_form(model, cursor, pieces))
                ),
            )

    form = partial(memory_form, model, cursor, cursor.near)
    yield "the rest in memory", lambda: form(lambda pieces: [*pieces, *cursor.rest])
    yield "the rest left out", lambda: form(list)


def _kept(found: dict[str, Tensor], name: str, both: dict[str, Tensor]) -> Tensor:
    kind = name.partition(":")[0]
    found.update({f"{kind}: {key}": each for key, each in both.items()})
    return found[name]


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


def compared(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Return the mean divergence from what is wanted, and the share of likeliest tokens alike."""
    lost = (wanted.exp() * (wanted - found)).sum(-1).mean()
    return float(lost), float((found.argmax(-1) == wanted.argmax(-1)).float().mean())


def measure(model: Model, cursor: Cursor, group: str, done: set[str], results: Path) -> None:
    forms = short_forms if group == "short" else whole_forms
    answer, kept = torch.tensor(cursor.answer), dict[str, Tensor]()
    names = [name for name, _ in forms(model, cursor)]
    if done >= set(names):
        return
    for name, predict in forms(model, cursor):
        if name in done and name not in ("memory", "prompt"):
            continue
        started = time.process_time()
        found = kept[name] = predict()
        row = {
            "instance": cursor.name,
            "group": group,
            "form": name,
            "loss": float(-found.gather(1, answer[:, None]).mean()),
            "likeliest": float((found.argmax(-1) == answer).float().mean()),
            "answer_tokens": len(answer),
            "local_tokens": len(cursor.local),
            "near_tokens": len(cursor.near),
            "rest": [len(each.ids) for each in cursor.rest],
            "pieces": [len(each.ids) for each in cursor.pieces],
            "pieces_before": len(cursor.before),
            "pieces_shared": sum(each in cursor.before for each in cursor.pieces)
            if cursor.before
            else 0,
            "cpu_seconds": round(time.process_time() - started, 1),
        }
        for other in ("memory", "prompt"):
            if other in kept:
                row[f"divergence_{other}"], row[f"alike_{other}"] = compared(found, kept[other])
        if name not in ("memory", "prompt"):
            kept.pop(name)
        if name not in done:
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def table(results: Path) -> None:
    """Print means by form."""
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    by_form = defaultdict[tuple[str, str], list[dict[str, float]]](list)
    for row in rows:
        by_form[row["group"], row["form"]].append(row)
    print("| | cursors | loss | from memory: nats | alike | from the prompt: nats | alike |")
    print("|---|---|---|---|---|---|---|")
    for (group, form), found in by_form.items():
        cells = [f"{group}: {form}", str(len(found))]
        for name in (
            "loss",
            "divergence_memory",
            "alike_memory",
            "divergence_prompt",
            "alike_prompt",
        ):
            known = [each[name] for each in found if name in each]
            cells.append(f"{statistics.mean(known):.4f}" if known else "")
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("results", type=Path, nargs="?")
    parser.add_argument("instances", nargs="*")
    parser.add_argument("--groups", nargs="+", default=["whole", "short"])
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table is not None:
        table(options.table)
        return
    if options.results is None:
        sys.exit("name DATA, RESULTS and instances")
    model = Model(load_for_engine("coder-0.5b"))
    lines = (options.data / "instances.jsonl").read_text("utf-8").splitlines()
    entries = {entry["instance_id"].rpartition("/")[2]: entry for entry in map(json.loads, lines)}
    for name in options.instances:
        done = defaultdict[str, set[str]](set)
        if options.results.exists():
            for line in options.results.read_text("utf-8").splitlines():
                row = json.loads(line)
                if row["instance"] == entries[name]["instance_id"]:
                    done[row["group"]].add(row["form"])
        started = time.process_time()
        cursor = cursor_of(model, options.data, entries[name])
        n_definitions = sum(len(each.ids) for each in cursor.pieces)
        print(name, n_definitions, len(cursor.local), len(cursor.answer), flush=True)
        print(f"  encoded: {time.process_time() - started:.1f} s", flush=True)
        for group in options.groups:
            measure(model, cursor, group, done[group], options.results)
            print(f"  {group}: {time.process_time() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
