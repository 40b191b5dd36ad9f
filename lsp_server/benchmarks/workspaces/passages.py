"""Answers with the text around them, by which they are recognised wherever they are.

The passage of an answer is the answer with the text around it, up to the next answer. A copy of the
file contains the same passage; similar code does not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lsp_server.benchmarks.datasets.instance import Instance

BEFORE_CHARS, AFTER_CHARS = 200, 100
"""Characters of a passage before and after its answer: more than similar code has in common."""
MIN_PART_CHARS = 40
"""Characters that a part of a text has at least in common with a passage to be recognised."""
MAX_PLACES = 1000
"""Most places that are tried in a passage that repeats itself."""


@dataclass(frozen=True)
class Passage:
    """Answer with the text around it."""

    instance: str
    file: str
    before: str
    answer: str
    after: str

    @property
    def with_answer(self) -> str:
        """Original text."""
        return self.before + self.answer + self.after

    @property
    def without_answer(self) -> str:
        """Text without the answer."""
        return self.before + self.after

    def is_in(self, text: str) -> bool:
        """Whether a text contains the passage. Blank answers are nowhere."""
        return bool(self.answer.strip()) and self.with_answer in text

    def is_partly_in(self, text: str) -> bool:
        """Whether a text that was cut out of a file shows the answer, or some of it.

        The passage may lie across an edge of the text. The part of it that lies in the text must
        have at least `MIN_PART_CHARS` characters, and some of the answer.
        """
        if self.is_in(text):
            return True
        return bool(self.answer.strip()) and any(map(self._shows_answer, self._parts(text)))

    def removed_from(self, text: str) -> str:
        """Return a text with the answer cut out of each copy of the passage."""
        while self.is_in(text):  # what is left may spell the passage again
            text = text.replace(self.with_answer, self.without_answer)
        return text

    def _parts(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield start and end of each part of the passage that begins or ends a text."""
        whole = self.with_answer
        least = min(MIN_PART_CHARS, len(whole))
        if len(text) < least:
            return
        for start in islice(_places(whole, text[:least]), MAX_PLACES):
            end = min(len(whole), start + len(text))
            if text.startswith(whole[start:end]):
                yield start, end
        for last in islice(_places(whole, text[-least:]), MAX_PLACES):
            start = max(0, last + least - len(text))
            if text.endswith(whole[start : last + least]):
                yield start, last + least

    def _shows_answer(self, part: tuple[int, int]) -> bool:
        start, end = (max(0, at - len(self.before)) for at in part)
        return bool(self.answer[start:end].strip())


def passages(instances: Sequence[Instance]) -> list[Passage]:
    """Return the passage of each answer. All instances of a repository must be given."""
    by_file: dict[str, list[tuple[int, int]]] = {}
    for instance in instances:
        by_file.setdefault(instance.file, []).append(instance.span)
    return [_passage(instance, by_file[instance.file]) for instance in instances]


def passage_of(instance: Instance, others: Sequence[Instance]) -> Passage:
    """Return the passage of one answer, among all instances of its repository."""
    return _passage(instance, [each.span for each in others if each.file == instance.file])


def without_answers(instance: Instance, others: Sequence[Instance]) -> str:
    """Return the text of an instance's file without any of the answers in it."""
    spans = [other.span for other in others if other.file == instance.file]
    text = instance.before + instance.answer + instance.after
    kept, at = "", 0
    for begin, stop in sorted([instance.span, *spans]):
        kept += text[at : max(at, begin)]
        at = max(at, stop)
    return kept + text[at:]


def _passage(instance: Instance, spans: Sequence[tuple[int, int]]) -> Passage:
    start, end = instance.span
    first = max([0, start - BEFORE_CHARS, *(stop for _, stop in spans if stop <= start)])
    n_after = min([AFTER_CHARS, *(begin - end for begin, _ in spans if begin >= end)])
    parts = instance.before[first:], instance.answer, instance.after[:n_after]
    return Passage(instance.id, instance.file, *map(plain_ends, parts))


def plain_ends(text: str) -> str:
    r"""Return a text with ``\n`` for every kind of line end, as texts are compared."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _places(text: str, wanted: str) -> Iterator[int]:
    """Yield where a text contains another, overlapping places included."""
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)
