"""Needles: texts hidden in memory, with the questions that ask for them.

Two kinds. ``passkey``: a number in a note, among notes that repeat a few sentences, as in the
LongLLaMA paper. ``constant``: a number that a settings module gives to a name, among real code, and
that a test in another file must state.

Memory is a set without an order. The depth of a needle is the position of its
file among the sorted paths; it is not a distance that the model must look back.
The needle follows the file at its depth, so among very few files depths are coarse.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from longllama_code.protocol import CompletionRequest

Kind = Literal["passkey", "constant"]
KINDS: tuple[Kind, ...] = ("passkey", "constant")

N_DECOYS = 3
"""Other constants in the same module, with other numbers."""
MAX_ANSWER_TOKENS = 16
NO_DEADLINE_MS = 24 * 3_600_000
FILLER_LINE = (
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n"
)
FIRST_WORDS = ("RETRY", "QUEUE", "UPLOAD", "SESSION", "CACHE", "LEDGER", "BATCH", "TICKET")
SECOND_WORDS = ("LIMIT", "BUDGET", "QUOTA", "CEILING", "SIZE", "WINDOW", "CAPACITY", "OFFSET")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
LAST_DRAW = 1000

INTRODUCTION = (
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
    "I will quiz you about the important information there.\n"
)


@dataclass(frozen=True)
class Needle:
    """A file with a number, and the text that asks for it."""

    path: str
    text: str
    question_path: str
    prefix: str
    answer: str
    """Digits with which the completion must begin."""

    def request(self, *, uses_memory: bool, shows_text: bool = False) -> CompletionRequest:
        """Return the question as an editor's request; with the hidden text before it, if shown."""
        return CompletionRequest(
            self.question_path,
            f"{self.text}\n{self.prefix}" if shows_text else self.prefix,
            "",
            max_tokens=MAX_ANSWER_TOKENS,
            multiline=False,
            timeout_ms=NO_DEADLINE_MS,
            uses_memory=uses_memory,
        )


def needle(
    kind: Kind, rng: random.Random, paths: Collection[str], depth: float, filler: Sequence[str]
) -> Needle:
    """Return a needle whose numbers and names do not occur in the filler.

    Args:
        kind: the kind of needle.
        rng: draws numbers and names.
        paths: the files around it.
        depth: its position among them, 0 (first) to 1 (last).
        filler: every other text that may be in memory.

    Raises:
        ValueError: no number or name is free.
    """
    previous = neighbour(paths, depth)
    if kind == "passkey":
        return _passkey(_fresh_number(rng, filler), previous)
    return _constant(rng, previous, filler)


def filler_notes(n_notes: int, n_lines: int) -> dict[str, str]:
    """Return notes of the passkey's filler: path → text of ``n_lines`` equal lines."""
    return {f"notes/{number:05}.txt": FILLER_LINE * n_lines for number in range(n_notes)}


def neighbour(paths: Collection[str], depth: float) -> str | None:
    """Return the file at a depth among the sorted paths, 0 to 1; None without files."""
    ordered = [p for p in sorted(paths) if not PurePosixPath(p).name.startswith("__")]
    ordered = ordered or sorted(paths)
    return ordered[round(depth * (len(ordered) - 1))] if ordered else None


def place(paths: Collection[str], path: str) -> float:
    """Return a file's position among the sorted paths, 0 to 1; 0 for a single file."""
    return sorted(paths).index(path) / max(1, len(paths) - 1)


def is_right(given: str, answer: str) -> bool:
    """Whether a completion begins with just these digits."""
    found = re.match(r"\s*(\d+)", given)
    return found is not None and found.group(1) == answer


def leading_share(given: str, answer: str) -> float:
    """Return share of the digits that are right before the first wrong one, 0 to 1."""
    digits = given.lstrip()
    wrong = (n for n, digit in enumerate(answer) if digits[n : n + 1] != digit)
    return next(wrong, len(answer)) / len(answer)


def _passkey(number: str, previous: str | None) -> Needle:
    path = "notes/00000_note.txt" if previous is None else _sibling(previous, "_note")
    hidden = f"The pass key is {number}. Remember it. {number} is the pass key.\n"
    return Needle(
        path=path,
        text=FILLER_LINE + hidden + FILLER_LINE,
        question_path="quiz.txt",
        prefix=f"{INTRODUCTION}What is the pass key? The pass key is",
        answer=number,
    )


def _constant(rng: random.Random, previous: str | None, filler: Sequence[str]) -> Needle:
    path = "settings.py" if previous is None else _sibling(previous, "_settings")
    path = str(PurePosixPath(path).with_suffix(".py"))  # in any language of the filler
    names: list[str] = []
    numbers: list[str] = []
    for _ in range(1 + N_DECOYS):
        names.append(_fresh_name(rng, [*filler, *names]))
        numbers.append(_fresh_number(rng, [*filler, *numbers]))
    chosen = rng.randrange(len(names))
    lines = [f"{name} = {number}\n" for name, number in zip(names, numbers, strict=True)]
    module = ".".join(PurePosixPath(path).with_suffix("").parts)
    name = names[chosen]
    return Needle(
        path=path,
        text=f'"""Limits of this deployment."""\n\n{"".join(lines)}',
        question_path=f"tests/test_{name.lower()}.py",
        prefix=f"from {module} import {name}\n\n\n"
        f"def test_{name.lower()}():\n    assert {name} == ",
        answer=numbers[chosen],
    )


def _sibling(path: str, ending: str) -> str:
    """Return a path that comes right after another in sorted order."""
    return str(PurePosixPath(path).with_name(f"{PurePosixPath(path).stem}{ending}")) + (
        PurePosixPath(path).suffix
    )


def _fresh_number(rng: random.Random, taken: Sequence[str]) -> str:
    for _ in range(LAST_DRAW):
        number = str(rng.randrange(10_000, 100_000))
        if not any(number in text for text in taken):
            return number
    raise ValueError("the filler holds nearly every number of five digits.")


def _fresh_name(rng: random.Random, taken: Sequence[str]) -> str:
    for _ in range(LAST_DRAW):
        ending = "".join(rng.choices(LETTERS, k=3))
        name = f"{rng.choice(FIRST_WORDS)}_{rng.choice(SECOND_WORDS)}_{ending}"
        if not any(name in text for text in taken):
            return name
    raise ValueError("the filler holds nearly every name.")
