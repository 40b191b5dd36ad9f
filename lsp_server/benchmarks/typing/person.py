"""Simulated person, who knows what is to be typed and accepts suggestions that are right."""

import re
from dataclasses import dataclass, field
from typing import Literal

from lsp_server.benchmarks.typing.rhythm import Rhythm, count_keys

Policy = Literal["whole", "word"]
"""What is accepted: a suggestion that is right to its end; with ``word``, also its first word."""
POLICIES: tuple[Policy, ...] = ("whole", "word")
_FIRST_WORD = re.compile(r"\W*\w+|\W+")


@dataclass(frozen=True)
class Judgement:
    """What a person thinks of a suggestion."""

    right_to_end: bool = False
    right_for_a_word: bool = False
    """Whether at least its first word is right."""
    accepted: str = ""
    """Text that one key inserts; empty if the person types on."""


@dataclass(frozen=True)
class Person:
    """Person with a rhythm, who accepts what is worth a key.

    A suggestion that saves no key, such as a single character, is not accepted.
    """

    policy: Policy = "whole"
    rhythm: Rhythm = field(default_factory=Rhythm)

    def judge(self, shown: str, remaining: str, rest: str = "") -> Judgement:
        """Judge a suggestion.

        Args:
            shown: the suggestion.
            remaining: text that is still to be typed.
            rest: what would follow it, if typing went on.
        """
        wanted = remaining + rest
        to_end, for_a_word = is_right(shown, wanted), is_right_for_a_word(shown, wanted)
        accepted = shown if to_end else ""
        if self.policy == "word" and for_a_word and not to_end:
            accepted = first_word(shown)
        accepted = _agreed(accepted, remaining)
        return Judgement(to_end, for_a_word, accepted if count_keys(accepted) > 1 else "")


def is_right(suggestion: str, wanted: str) -> bool:
    """Whether a suggestion is what follows, to its end; whitespace at its end does not count."""
    return bool(suggestion.strip()) and wanted.startswith(suggestion.rstrip())


def is_right_for_a_word(suggestion: str, wanted: str) -> bool:
    """Whether a suggestion is right to its end, or at least for its whole first word."""
    if is_right(suggestion, wanted):
        return True
    word = first_word(suggestion)
    return is_right(word, wanted) and not re.match(r"\w\w", wanted[len(word) - 1 :])


def first_word(suggestion: str) -> str:
    """Return the first word with the signs and blanks before it, or the signs if there is none.

    Editors that accept a suggestion word by word go to the same end (Emacs' ``forward-word``); some
    need one key for the signs and another one for the word.
    """
    found = _FIRST_WORD.match(suggestion)
    return found.group() if found else ""


def _agreed(text: str, remaining: str) -> str:
    """Return the part of a right text that the person wants in the document.

    Whitespace at its end stays if it is right, but for a line's end, where the editor indents. What
    exceeds the text to type is left out, as the session ends there.
    """
    text = text[: len(remaining)]
    kept = text.rstrip()
    is_inside_line = "\n" not in text[len(kept) :]
    return text if is_inside_line and remaining.startswith(text) else kept
