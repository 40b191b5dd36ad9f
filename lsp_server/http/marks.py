"""Prompts in which marks of a model's training say where the cursor is.

Clients of raw completions write them by the model's name: Zed, Continue, minuet-ai.nvim. What the
model here was trained with does not matter, as the prompt is taken apart.
"""

from dataclasses import dataclass

FILE_MARKS = ("<|file_sep|>", "<file_sep>")
"""Marks behind which a file's name stands, up to the end of its line."""
OPENINGS = ("<|repo_name|>", "<repo_name>", "<reponame>", *FILE_MARKS)
"""What a prompt with other files begins with."""
MAX_NAME_CHARS = 1_024


@dataclass(frozen=True)
class Marks:
    """Marks of one family of models."""

    prefix: str
    """Before the text that precedes the cursor."""
    suffix: str
    """Before the text that follows it."""
    middle: str = ""
    """Before the text to be written; empty: that is the end of the prompt."""


FAMILIES = (
    Marks("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    Marks("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    Marks("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    Marks("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    Marks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    Marks("<PRE> ", " <SUF>", " <MID>"),
    Marks("[PREFIX]", "[SUFFIX]"),
)


@dataclass(frozen=True)
class Marked:
    """Parts of a prompt with marks."""

    before: str
    after: str
    file: str = ""
    """Name of the file, if the prompt tells it."""


def taken_apart(prompt: str) -> Marked | None:
    """Return the parts of a prompt; None if it has no marks.

    Text behind the mark of what is to be written belongs before the cursor: a client may begin it.
    """
    for marks in FAMILIES:
        prefix, suffix = prompt.find(marks.prefix), prompt.find(marks.suffix)
        middle = prompt.find(marks.middle) if marks.middle else len(prompt)
        if min(prefix, suffix, middle) < 0:
            continue
        opening = prompt[: min(prefix, suffix)]
        ends_with_mark = prompt.rstrip().endswith(marks.middle or "\0")
        if not opening.strip() or opening.startswith(OPENINGS) or ends_with_mark:
            return _parts(prompt, marks, prefix, suffix, middle)
    return None  # code may hold marks of its own


def _parts(prompt: str, marks: Marks, prefix: int, suffix: int, middle: int) -> Marked:
    """Return the parts of a prompt, in whatever order its marks are."""
    places = (prefix, suffix, middle, len(prompt))

    def part(at: int, mark: str) -> str:
        return prompt[at + len(mark) : min((end for end in places if end > at), default=at)]

    before = part(prefix, marks.prefix) + part(middle, marks.middle)
    return Marked(before, part(suffix, marks.suffix), _file_in(prompt[: min(prefix, suffix)]))


def _file_in(opening: str) -> str:
    """Return the name behind the last mark of a file, if nothing but that line follows."""
    at, mark = max((opening.rfind(mark), mark) for mark in FILE_MARKS)
    if at < 0:
        return ""
    name, _, rest = opening[at + len(mark) :].partition("\n")
    return name.strip() if not rest.strip() and len(name) <= MAX_NAME_CHARS else ""
