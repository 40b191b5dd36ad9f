"""Planted constants: what the one text defines, the other states."""

import random
import re

from hypothesis import example, given
from hypothesis import strategies as st

from longllama_code.research.datasets.planted import plant

DEFINING = "def load(path):\n    text = read(path)\n    return parse(text)\n" * 5
STATING = "class Reader:\n    def run(self):\n        return load(self.path)\n" * 5
VALUE = re.compile(r"\b([A-Za-z_]+)\b[^0-9]*\b(\d{2,6})\b")


def added(before: str, after: str) -> list[str]:
    left = before.split("\n")
    return [line for line in after.split("\n") if line not in left]


@given(st.integers(0, 1 << 20))
@example(472500)  # draws a name twice
def test_the_value_stated_is_the_one_defined(seed: int) -> None:
    planted = plant(DEFINING, STATING, random.Random(seed))
    (statement,) = added(STATING, planted.stating)
    definitions = added(DEFINING, planted.defining)
    assert 1 <= len(definitions) <= 5
    name, value = re.findall(r"[A-Za-z]+(?:_[A-Za-z]+)+", statement)[-1], statement
    (line,) = [line for line in definitions if re.search(rf"\b{name}\b", line)]
    assert re.findall(r"\d+", line) == re.findall(r"\d+", value)


@given(st.integers(0, 1 << 20))
def test_what_was_there_stays_and_the_rest_is_in_the_first_half(seed: int) -> None:
    planted = plant(DEFINING, STATING, random.Random(seed))
    for before, after in ((DEFINING, planted.defining), (STATING, planted.stating)):
        new = added(before, after)
        assert [line for line in after.split("\n") if line not in new] == before.split("\n")
        assert after.index(new[0]) <= len(before) // 2


def test_it_is_a_function_of_the_seed() -> None:
    one, same = (plant(DEFINING, STATING, random.Random(3)) for _ in range(2))
    assert one == same
    assert one != plant(DEFINING, STATING, random.Random(4))


def test_texts_without_words() -> None:
    assert "value" in plant("1\n", "2\n", random.Random(1)).defining.lower()
