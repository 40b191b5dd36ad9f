"""Lines to complete, classified by where their names are defined.

    inproject-first   uses a name that another file defines and this one has not shown yet
    inproject         uses such a name that this file has shown
    infile            uses a name that this file defines
    common            uses names of the language and its library alone, or of many repositories
    random            any line that is neither blank nor a comment

The first four are exclusive, and the first that fits counts; ``random`` draws from all lines.
Import statements are in ``random`` only, as nothing before them predicts them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, get_args

from longllama_code.research.evaluation.completion.metrics import identifiers
from longllama_code.research.evaluation.names.python import PythonClassifier
from longllama_code.research.evaluation.names.reader import Classifier, Definition, FileNames, Use
from longllama_code.research.evaluation.names.syntax import SYNTAX_CLASSIFIERS

LineClass = Literal["inproject-first", "inproject", "infile", "common", "random"]
LINE_CLASSES: tuple[LineClass, ...] = get_args(LineClass)
MAX_LINE_CHARS = 160
"""Maximum length of a line to complete; longer ones are mostly data."""
MANY_TREES = 3
"""Number of repositories whose definition of a name makes it common."""
CLASSIFIERS: Mapping[str, Classifier] = {".py": PythonClassifier(), **SYNTAX_CLASSIFIERS}
"""Languages by suffix; other files have no lines to complete."""


@dataclass(frozen=True)
class Cursor:
    """A line to complete, from its indentation on."""

    path: str
    kind: LineClass
    line: int
    """Line number, from 1."""
    offset: int
    """Offset of the line's text in the file, in code points."""
    wanted: str
    """The line without indentation and trailing blanks."""
    names: tuple[str, ...]
    """Names of the line that other files define."""


@dataclass(frozen=True)
class Project:
    """Names that a repository's remembered files define, and names that are common."""

    definitions: Mapping[str, tuple[Definition, ...]]
    many: frozenset[str]

    def foreign(self, path: str, names: FileNames) -> frozenset[str]:
        """Return the names that only other files of the project define.

        Only files of the same language count: a Python name in Go is another name.
        """
        classifier = _classifier(path)
        return frozenset(
            name
            for name in self.definitions.keys() - names.bound - self.many
            if not classifier.is_common(name)
            and any(
                _classifier(found.path).language == classifier.language
                for found in self.definitions[name]
            )
        )

    def uses(self, path: str, text: str) -> list[Use]:
        """Return the uses of other files' names in a held-out file, including imports."""
        names = read_names(path, text)
        if names is None:
            return []
        foreign = self.foreign(path, names)
        return [use for use in names.uses if use.name in foreign]


def read_names(path: str, text: str) -> FileNames | None:
    """Return the names of a file; None if its language is unknown or it cannot be parsed."""
    classifier = CLASSIFIERS.get(PurePosixPath(path).suffix)
    return None if classifier is None else classifier.read(path, text)


def project_of(texts: Mapping[str, str], many: frozenset[str] = frozenset()) -> Project:
    """Return the definitions of remembered files.

    Args:
        texts: the files; not those that are held out.
        many: names that are common to many repositories.
    """
    definitions: dict[str, tuple[Definition, ...]] = {}
    for path, text in texts.items():
        names = read_names(path, text)
        for definition in () if names is None else names.exported:
            definitions[definition.name] = (*definitions.get(definition.name, ()), definition)
    return Project(definitions, many)


def names_of_many(trees: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """Return names that at least ``MANY_TREES`` of the repositories define."""
    counts = Counter(name for texts in trees for name in project_of(texts).definitions)
    return frozenset(name for name, count in counts.items() if count >= MANY_TREES)


def cursors(path: str, text: str, project: Project) -> Iterator[Cursor]:
    """Yield every line of a held-out file that can be completed, once for each of its classes."""
    names = read_names(path, text)
    if names is None:
        return
    foreign = project.foreign(path, names)
    used: dict[int, set[str]] = {}
    for use in names.uses:
        used.setdefault(use.line, set()).add(use.name)
    seen: set[str] = set()
    start = 0
    for number, line in enumerate(text.split("\n"), 1):
        wanted = line.strip()
        if wanted and len(wanted) <= MAX_LINE_CHARS and number not in names.comments:
            offset = start + len(line) - len(line.lstrip())
            here = used.get(number, set())
            elsewhere = tuple(sorted(here & foreign))
            kind = _kind(path, here, seen, foreign, names, project)
            if kind is not None and number not in names.imports:
                yield Cursor(path, kind, number, offset, wanted, elsewhere)
            yield Cursor(path, "random", number, offset, wanted, elsewhere)
        # `identifiers` does not find names such as `$store`.
        seen.update(identifiers(line), used.get(number, ()))
        start += len(line) + 1


def sample(found: Iterable[Cursor], n_each: int, rng: random.Random) -> list[Cursor]:
    """Return at most ``n`` cursors of each class, in the order of files and lines."""
    by_kind: dict[LineClass, list[Cursor]] = {kind: [] for kind in LINE_CLASSES}
    for cursor in found:
        by_kind[cursor.kind].append(cursor)
    drawn = [
        cursor
        for of_kind in by_kind.values()
        for cursor in rng.sample(of_kind, min(n_each, len(of_kind)))
    ]
    return sorted(drawn, key=lambda cursor: (cursor.path, cursor.line, cursor.kind))


def _kind(
    path: str,
    used: Collection[str],
    seen: Collection[str],
    foreign: frozenset[str],
    names: FileNames,
    project: Project,
) -> LineClass | None:
    """Return the class of a line by the names that it uses; None if it is of none."""
    elsewhere = foreign.intersection(used)
    if elsewhere:
        return "inproject" if elsewhere.issubset(seen) else "inproject-first"
    classifier = _classifier(path)
    rare = {name for name in used if not classifier.is_common(name)} - project.many
    if rare & names.bound:
        return "infile"
    return "common" if used and not rare else None


def _classifier(path: str) -> Classifier:
    """Return the language of a file that has names."""
    return CLASSIFIERS[PurePosixPath(path).suffix]
