"""Lines of real files, typed up to a place where a suggestion is wanted; whether a text parses.

A prefix ends inside a name, or beside closers that the editor adds by itself: inside brackets or
quotes that were opened on the line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from longllama_code.definitions.languages.grammars import parsed
from tests.paths import ROOT

SOURCES = {
    "python": (ROOT / "lsp_server" / "indexing", ROOT / "lsp_server" / "documents"),
    "typescript": (ROOT / "editor-client" / "vscode" / "src",),
    "go": (ROOT / "tests" / "data" / "harbour_go",),
}
SUFFIXES = {"python": ".py", "typescript": ".ts", "go": ".go"}
GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "go": ("tree_sitter_go", "language"),
}
ENDINGS = {
    "python": ("", ":", "\n{indent}    pass"),
    "typescript": ("", " {", ";", ",", "() {", " = {", " function f() {"),
    "go": ("", " {", ",", "; true {"),
}
"""Endings that a suggestion may lack if it ends within a statement or a declaration."""
NAME = re.compile(r"[A-Za-z_]\w{4,}")
PAIRS = {"(": ")", "[": "]", "{": "}"}
QUOTES = "\"'`"


@dataclass(frozen=True)
class Prefix:
    """A line of a file, typed up to a place in it."""

    language: str
    path: str
    """Relative to the workspace."""
    head: str
    """The file's text before the line."""
    indent: str
    typed: str
    """The line from its indentation to the cursor."""
    rest: str
    """The line from the cursor on."""
    tail: str
    """The file's text after the line."""
    closers: str
    """Brackets and quotes that an editor adds behind the cursor."""

    @property
    def word(self) -> str:
        """The part of a name that is typed."""
        found = re.search(r"\w*$", self.typed)
        return found.group() if found else ""


def choose(language: str, n_prefixes: int, n_beside_closers: int) -> list[Prefix]:
    """Return prefixes of a language, each of another line; files take turns."""
    files = [
        path
        for folder in SOURCES[language]
        for path in sorted(folder.glob(f"*{SUFFIXES[language]}"))
        if is_whole(language, path.read_text("utf-8"))
    ]
    found: list[Prefix] = []
    for is_beside, wanted in ((True, n_beside_closers), (False, n_prefixes - n_beside_closers)):
        taken = {(each.path, each.head) for each in found}
        found += _take_turns(
            [_prefixes(language, path, is_beside, taken) for path in files], wanted
        )
    return found


def _take_turns(sources: list[Iterator[Prefix]], wanted: int) -> list[Prefix]:
    found: list[Prefix] = []
    while sources and len(found) < wanted:
        source = sources.pop(0)
        if (prefix := next(source, None)) is not None:
            found.append(prefix)
            sources.append(source)
    return found


def _prefixes(
    language: str, path: Path, is_beside: bool, taken: set[tuple[str, str]]
) -> Iterator[Prefix]:
    """Yield prefixes of one file, from its middle on, where names were used before."""
    lines = path.read_text("utf-8").splitlines(keepends=True)
    for number in range(len(lines) // 2, len(lines)):
        line = lines[number].rstrip("\n")
        before, head = line[: len(line) - len(line.lstrip())], "".join(lines[:number])
        tail = "".join(lines[number + 1 :])
        cursor = None if (path.name, head) in taken else _place(line, head, is_beside)
        # In a comment or a text, a bracket more is no error.
        if cursor is not None and not is_whole(language, f"{head}{line})\n{tail}"):
            yield Prefix(
                language,
                path.name,
                head,
                before,
                line[len(before) : cursor],
                line[cursor:],
                tail,
                closers_behind(line[:cursor]),
            )


def _place(line: str, head: str, is_beside: bool) -> int | None:
    """Return a place inside a name of the line that was used above; None if there is none."""
    for name in NAME.finditer(line):
        cursor = name.start() + 3
        closers = closers_behind(line[:cursor])
        is_text = any(quote in closers for quote in QUOTES)
        if name.group() in head and bool(closers) == is_beside and not is_text:
            return cursor
    return None


def closers_behind(before: str) -> str:
    """Return the closers that an editor keeps behind a text that was typed on a line."""
    open_: list[str] = []
    for char in before:
        quote = open_[-1] if open_ and open_[-1] in QUOTES else ""
        if quote:
            if char == quote:
                open_.pop()
        elif char in QUOTES:
            open_.append(char)
        elif char in PAIRS:
            open_.append(PAIRS[char])
        elif open_ and char == open_[-1]:
            open_.pop()
    return "".join(reversed(open_))


def parses(prefix: Prefix, text: str) -> bool:
    """Whether a text, which ends with what was accepted, goes on to the file's end.

    A suggestion of several lines may have written some of the lines that follow, and the end of
    their block.
    """
    endings = (
        ending.format(indent=prefix.indent) if "{indent}" in ending else ending
        for ending in ENDINGS[prefix.language]
    )
    following = prefix.tail.splitlines(keepends=True)
    has_more_lines = "\n" in text[len(prefix.head) :]
    rests = ["".join(following[n:]) for n in range(len(following) + 1)]
    return any(
        is_whole(prefix.language, f"{text}{end}\n{rest}")
        for end in endings
        for rest in (rests if has_more_lines else rests[:1])
    )


def is_whole(language: str, text: str) -> bool:
    """Whether a text has no syntax error."""
    module, function = GRAMMARS[language]
    tree = parsed(text.encode(), module, function)
    return tree is not None and not tree.root_node.has_error


def script(prefixes: Sequence[Prefix]) -> list[dict[str, str]]:
    """Return answers of a scripted engine: the rest of each line, however much of it is there."""
    answers: list[dict[str, str]] = []
    for prefix in prefixes:
        for n_more in range(len(prefix.rest)):
            before = f"(?:^|\n)[ \t]*{re.escape(prefix.typed + prefix.rest[:n_more])}"
            text = prefix.rest[n_more:].replace("\\", "\\\\")
            answers.append({"path": f"*{prefix.path}", "before": before, "text": text})
    return answers
