"""Names at large of real Python that are refused as suggestions, and invented ones that are not.

Lines of repositories are typed up to three letters of a name; the rest of the line is what is
suggested. The file is not in the index, and the line stands nowhere else. Then the same with two
letters behind the name, so that it exists nowhere. Printed: places, real and invented names that
are refused, and the processor's time of a check in milliseconds.

Usage: python tests/bench/names_at_large.py REPOSITORIES [--files 12] [--lines 30] [--show]
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.names_at_large import MIN_TYPED, NAME, unknown_at_large

MAX_BYTES = 200_000
INVENTED = "qz"
"""Letters that end no name of Python."""


@dataclass(frozen=True)
class Place:
    """A cursor inside a name of a line."""

    path: str
    before: str
    name_rest: str
    line_rest: str
    after: str

    def is_refused(self, index: DefinitionIndex, ending: str = "") -> bool:
        """Whether the rest of the line is refused, with something behind the name."""
        text = self.name_rest + ending + self.line_rest
        new_words = frozenset[str]()
        missing = unknown_at_large(
            index, self.path, self.before, text, self.after, new_words, is_whole=True
        )
        return missing is not None


def places(path: str, text: str, n_lines: int, chance: random.Random) -> Iterator[Place]:
    """Yield a place in each of some lines that have a name long enough."""
    lines = text.splitlines(keepends=True)
    for number in chance.sample(range(len(lines)), min(n_lines, len(lines))):
        line = lines[number].rstrip("\n")
        names = [found for found in NAME.finditer(line) if len(found[0]) > MIN_TYPED]
        if names:
            name = chance.choice(names)
            cursor = name.start() + MIN_TYPED
            before = "".join(lines[:number]) + line[:cursor]
            after = "\n" + "".join(lines[number + 1 :])
            yield Place(path, before, name[0][MIN_TYPED:], line[name.end() :], after)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repositories", type=Path, help="folder of checked-out repositories")
    parser.add_argument("--files", type=int, default=12, help="of each repository (%(default)s)")
    parser.add_argument("--lines", type=int, default=30, help="of each file (%(default)s)")
    parser.add_argument("--show", action="store_true", help="print real names that are refused")
    options = parser.parse_args()
    chance, times = random.Random(1), list[float]()
    n_real, n_invented = 0, 0
    for root in sorted(options.repositories.iterdir()):
        texts = {
            path.relative_to(root).as_posix(): path.read_text("utf-8", "replace")
            for path in sorted(root.rglob("*.py"))
            if path.stat().st_size < MAX_BYTES
        }
        index = DefinitionIndex()
        for path, text in texts.items():
            index.put(path, text)
        for path in chance.sample(list(texts), min(options.files, len(texts))):
            index.forget(path)
            for place in places(path, texts[path], options.lines, chance):
                began = time.thread_time()
                is_refused = place.is_refused(index)
                times.append(1000 * (time.thread_time() - began))
                n_real += is_refused
                n_invented += place.is_refused(index, INVENTED)
                if is_refused and options.show:
                    print(root.name, place.path, place.before[-40:] + place.name_rest)
            index.put(path, texts[path])
    report = {
        "places": len(times),
        "real refused": n_real,
        "invented refused": n_invented,
        "ms_median": round(statistics.median(times), 2),
        "ms_most": round(max(times), 2),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
