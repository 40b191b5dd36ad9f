"""Rhythm of a person who types code: seconds from one key to the next.

The times are those of a practised typist. The keystroke-level model of Card, Moran and Newell (*The
Psychology of Human-Computer Interaction*, 1983, chapter 8) gives 0.08 s a key for the best typists,
0.12 s for good ones (90 words a minute), 0.20 s for average skilled ones, and 1.35 s for a mental
preparation. Here keys within a word follow each other in 0.1 s; a pause stands at a word's end, and
a longer one on both sides of a line's end. Most people give a system more time.

To read a suggestion takes 0.3 s: the same book (chapter 2) has 0.31 s for comparing what one sees
with what one has in mind and pressing a key: 0.10 s to see, twice 0.07 s to decide, 0.07 s to move.
Longer suggestions take longer in truth.

Between opening a file and the first key lie 4.5 s, which systems may use: to find the place and to
decide what to type (in the keystroke-level model two mental preparations of 1.35 s, 1.1 s to point
at the place, and twice 0.4 s to move the hand).
"""

from dataclasses import asdict, dataclass
from typing import Any

WORD_S, WORD_END_S, LINE_END_S = 0.1, 0.25, 0.8
READING_S = 0.3
START_S = 4.5


@dataclass(frozen=True)
class Rhythm:
    """Seconds that a person needs."""

    word_s: float = WORD_S
    """From a key to the next one within a word."""
    word_end_s: float = WORD_END_S
    """From a key to the next one elsewhere in a line."""
    line_end_s: float = LINE_END_S
    """From a key to the next one before and after a line's end."""
    reading_s: float = READING_S
    """From the arrival of a suggestion to its acceptance."""
    start_s: float = START_S
    """From opening a file to the first key."""
    slowdown: float = 1.0
    """Factor of all times. On a slow machine, a person who types twice as slowly sees what one of
    usual speed sees on a machine that is twice as fast. Results must say it."""

    def __post_init__(self) -> None:
        """Check the factor.

        Raises:
            ValueError: it is not positive.
        """
        if not self.slowdown > 0:
            raise ValueError(f"a slowdown of {self.slowdown} is impossible; give one above 0.")

    def gap_s(self, key: str, following: str) -> float:
        """Return the seconds from a key to the next one.

        Args:
            key: the character of the key.
            following: the next character; empty at the end.
        """
        if key == "\n" or following in ("\n", ""):
            return self.line_end_s * self.slowdown
        in_word = _is_of_word(key) and _is_of_word(following)
        return (self.word_s if in_word else self.word_end_s) * self.slowdown

    @property
    def seconds_to_read(self) -> float:
        """Seconds from the arrival of a suggestion to its acceptance, slowed down."""
        return self.reading_s * self.slowdown

    @property
    def seconds_to_start(self) -> float:
        """Seconds from opening a file to the first key, slowed down."""
        return self.start_s * self.slowdown

    def describe(self) -> dict[str, Any]:
        """Return the times as plain values."""
        return asdict(self)


def keystroke(text: str) -> str:
    """Return what the first key of a text writes: a character, or a line's end and indentation.

    The editor indents a new line as the text needs it.
    """
    if not text.startswith("\n"):
        return text[:1]
    rest = text[1:]
    return text[: 1 + len(rest) - len(rest.lstrip(" \t"))]


def count_keys(text: str) -> int:
    """Return the number of keys that write a text."""
    count = 0
    while text:
        text = text[len(keystroke(text)) :]
        count += 1
    return count


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"
