"""A hundred thousand pairs of ignore rules and paths: do we say what `git check-ignore` says?

Usage: python tests/bench/fuzz_ignore.py [--pairs 100000] [--seed 1]
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from longllama_code.source_files.patterns import parse_file
from tests.source_files.judged_by_git import git, ignored_by, named_by_git, some_path, some_rules

N_FILES = N_PATHS = 60


def disagreements(root: Path, chance: random.Random, ignores_case: bool) -> tuple[int, list[str]]:
    """Return how many pairs were compared, and those that are judged differently."""
    rules = [some_rules(chance) for _ in range(N_FILES)]
    paths = sorted({some_path(chance) for _ in range(N_PATHS)})
    theirs = named_by_git(root, rules, paths)
    wrong: list[str] = []
    for number, text in enumerate(rules):
        patterns = parse_file(text, ignores_case=ignores_case)
        for path in paths:
            if ignored_by(patterns, path) != (b"%d/%s" % (number, path) in theirs):
                wrong.append(f"{text!r} {path!r}")
    return len(rules) * len(paths), wrong


def measure(n_pairs: int, seed: int, ignores_case: bool) -> dict[str, object]:
    """Compare until there were so many pairs."""
    chance, n_compared, wrong = random.Random(seed), 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        git(root, "init", "--quiet")
        git(root, "config", "core.ignoreCase", str(ignores_case))
        while n_compared < n_pairs:
            n_new, new = disagreements(root, chance, ignores_case)
            n_compared += n_new
            wrong += new
    return {"pairs": n_compared, "judged_differently": wrong}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = {
        name: measure(options.pairs, options.seed, ignores_case)
        for name, ignores_case in (("exact", False), ("ignores_case", True))
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
