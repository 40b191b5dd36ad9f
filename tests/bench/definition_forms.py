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
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from longllama_code.generation.models import load_for_engine
from tests.bench.changed_pieces import begun_again, rounded, scaled
from tests.bench.definition_cursors import (
    Cursor,
    Model,
    Piece,
    cursor_of,
    placed,
    predictions,
    read,
)

SHORT_TOKENS = 192


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
    """Return predictions without any piece."""
    return memory_form(model, cursor, local, lambda pieces: [])


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


def compared(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Return the mean divergence from what is wanted, and the share of likeliest tokens alike."""
    lost = (wanted.exp() * (wanted - found)).sum(-1).mean()
    return float(lost), float((found.argmax(-1) == wanted.argmax(-1)).float().mean())


def measure(model: Model, cursor: Cursor, group: str, done: set[str], results: Path) -> None:
    """Append a row for each form of a group that is not among those done."""
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
