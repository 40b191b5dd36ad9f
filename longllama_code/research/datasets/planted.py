"""Constants planted into rows: one row defines them, another one must state a value.

Code that depends on a value in another file is rare in samples of code, and memory is for it.
Names are composed from words of the rows, so that only the whole name identifies a constant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

WORD = re.compile(r"(?<![A-Za-z])[A-Za-z][a-z]{3,8}")
MAX_CONSTANTS = 5
DEFINITIONS = ("{name} = {value}", "{name}: int = {value}", "    {name} = {value}")
STATEMENTS = (
    "    assert {name} == {value}",
    "    if count > {name}:  # {value}",
    "# {name} is {value}",
    "        self.assertEqual({name}, {value})",
    "    print({name}, {value})",
    "expected = {{{name}: {value}}}",
)


@dataclass(frozen=True)
class Planted:
    """Two changed texts: one defines constants, the other one states the value of one."""

    defining: str
    stating: str


def plant(defining: str, stating: str, rng: random.Random) -> Planted:
    """Put constants into one text, and the value of one of them into another.

    Args:
        defining: takes the definitions, in its first half, so that no crop loses them.
        stating: takes the statement, likewise.
        rng: decides names, values, forms and places.
    """
    words = sorted(set(WORD.findall(defining + stating))) or ["value"]
    drawn = [_constant(words, rng) for _ in range(rng.randint(1, MAX_CONSTANTS))]
    constants = list(dict(drawn).items())  # a name drawn twice has one value
    name, value = rng.choice(constants)
    form = rng.choice(DEFINITIONS)
    lines = [form.format(name=name, value=value) for name, value in constants]
    statement = rng.choice(STATEMENTS).format(name=name, value=value)
    return Planted(_insert(defining, lines, rng), _insert(stating, [statement], rng))


def _constant(words: Sequence[str], rng: random.Random) -> tuple[str, str]:
    parts = rng.choices(words, k=rng.randint(2, 3))
    if rng.random() < 0.5:
        parts.append("".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(1, 3))))
    name = "_".join(parts)
    digits = rng.randint(2, 6)
    value = str(rng.randrange(10 ** (digits - 1), 10**digits))
    return name if rng.random() < 0.2 else name.upper(), value


def _insert(text: str, lines: Sequence[str], rng: random.Random) -> str:
    """Return the text with lines between two of those in its first half."""
    starts = [0, *(m.end() for m in re.finditer("\n", text[: len(text) // 2]))]
    at = rng.choice(starts)
    return text[:at] + "".join(f"{line}\n" for line in lines) + text[at:]
