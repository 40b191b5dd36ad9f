"""Share of real lines that end right if their rest is accepted beside what the editor closed.

Usage: python tests/bench/closers.py [LINES]; so many lines of each language, 60 by default.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from lsp_server.suggestions.brackets import without_surplus_closers
from lsp_server.suggestions.closers import Fit, fit_closers, is_within, trim_overlap
from tests.server.suggestions.test_closers import SOURCES, lines, typed


def makes_the_line(language: str, line: str, cut: int, fit: Fit) -> bool:
    """Whether a text that is accepted, and typing on, end with the line."""
    editor = typed(language, line[:cut])
    editor.accept(fit.text, fit.n_replaced)
    if not line.startswith(editor.before):
        return False
    editor.type(line[len(editor.before) :])
    left = editor.line[len(line) :]
    return editor.line.startswith(line) and is_within(left, typed(language, line).behind)


def main() -> None:
    """Print, for each language, the number of cursors and the shares that are right."""
    n_lines = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("language", "cursors", "overlap at the end only", "closers replaced", sep="\t")
    for language in SOURCES:
        found = [line for _, line in lines(language)]
        random.Random(0).shuffle(found)
        right = [0, 0]
        n_cursors = 0
        for line in found[:n_lines]:
            for cut in range(len(line) - len(line.lstrip()), len(line)):
                editor = typed(language, line[:cut])
                if not editor.behind:
                    continue
                n_cursors += 1
                rest = without_surplus_closers(line[cut:], editor.before, language)
                fits = (
                    Fit(trim_overlap(rest, editor.behind)),
                    fit_closers(rest, editor.before, editor.behind, language),
                )
                for number, fit in enumerate(fits):
                    right[number] += makes_the_line(language, line, cut, fit)
        shares = (f"{100 * n / max(1, n_cursors):.1f} %" for n in right)
        print(language, n_cursors, *shares, sep="\t")


if __name__ == "__main__":
    main()
