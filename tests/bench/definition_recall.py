"""Are the names that an answer needs among the definitions that were chosen?

Instances of CrossCodeEval: the answer's line is cut out of its file, the other files of the
repository are in the index. Counted are the instances where a name of the answer is defined in
another file and stands nowhere in the local text (512 tokens before the cursor, 512 behind it): all
such names must be shown. What is defined is told by ``ast``, not by the reader that is measured.

Usage: python tests/bench/definition_recall.py DATA GGUF [--missed] [--budgets 256 512 768 1536]
"""

import argparse
import ast
import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from longllama_code.definitions.choice import Chosen, choose
from longllama_code.definitions.fitting import fit
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.gguf_header import read_header
from longllama_code.gguf_tokenizer import byte_level_tokenizer
from longllama_code.tokenizer import FastTokenizer, Tokenizer

NAME = re.compile(r"[^\W\d]\w*")
LOCAL_TOKENS = 512
LOCAL_CHARS = 6000


@dataclass
class Repository:
    """A repository's texts, and the names that each file defines."""

    texts: dict[str, str]
    index: DefinitionIndex = field(default_factory=DefinitionIndex)
    defined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: float = 0.0
    """That indexing took, of this process."""

    def __post_init__(self) -> None:
        start = time.process_time()
        for path, text in self.texts.items():
            self.index.put(path, text)
        self.seconds = time.process_time() - start
        for path, text in self.texts.items():
            for name in defined(text):
                self.defined[name].add(path)


@dataclass
class Case:
    """An instance where names of other files are needed."""

    repository: str
    path: str
    prefix: str
    suffix: str
    answer: str
    wanted: set[str]


def defined(text: str) -> Iterator[str]:
    """Names of functions, classes, methods and variables of a file."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for node in (node for body in bodies for node in body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif node in tree.body and isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a GGUF file."""
    return FastTokenizer(byte_level_tokenizer(read_header(path).metadata, path), None, 0)


def load_repository(folder: Path) -> Repository:
    """Everything of a folder that is Python."""
    return Repository(
        {
            path.relative_to(folder).as_posix(): path.read_text("utf-8", "replace")
            for path in sorted(folder.rglob("*.py"))
        }
    )


def local_names(case: Case, tokenizer: Tokenizer) -> set[str]:
    """Names in the local text."""
    left = tokenizer.encode(case.prefix[-LOCAL_CHARS:])[-LOCAL_TOKENS:]
    right = tokenizer.encode(case.suffix[:LOCAL_CHARS])[:LOCAL_TOKENS]
    return set(NAME.findall(tokenizer.decode(left) + "\n" + tokenizer.decode(right)))


def load_cases(
    data: Path, tokenizer: Tokenizer, repositories: dict[str, Repository]
) -> Iterator[Case]:
    """Instances where a name of another file is needed and cannot be seen."""
    for line in (data / "instances.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        name = entry["repository"]
        if name not in repositories:
            repositories[name] = load_repository(data / "repos" / name)
        repository, path = repositories[name], entry["file"]
        text, at = repository.texts[path], entry["offset"]
        prefix, suffix = text[:at], text[at + entry["length"] :]
        case = Case(name, path, prefix, suffix, entry["ground_truth"], set())
        names = set(NAME.findall(case.answer))
        others = {one for one in names if repository.defined.get(one, set()) - {path}}
        case.wanted = others - local_names(case, tokenizer)
        yield case


def chosen_for(case: Case, repository: Repository) -> tuple[list[Chosen], float]:
    """What is chosen, and its processor seconds; the file itself is not in the index."""
    repository.index.forget(case.path)
    choose(repository.index, case.path, case.prefix, case.suffix)  # reads the text, once a line
    start = time.process_time()
    chosen = choose(repository.index, case.path, case.prefix, case.suffix)
    seconds = time.process_time() - start
    repository.index.put(case.path, repository.texts[case.path])
    return chosen, seconds


def shown_names(chosen: list[Chosen], count: Callable[[str], int], budget: int) -> set[str]:
    """Names that are shown within a budget."""
    return set(NAME.findall("\n".join(block.text for block in fit(chosen, count, budget))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--missed", action="store_true", help="print what is missed")
    parser.add_argument("--budgets", type=int, nargs="+", default=[256, 512, 768, 1536])
    parser.add_argument("--show", type=int, default=512, help="budget to print what is missed at")
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.gguf)
    count = lru_cache(maxsize=1 << 16)(lambda text: len(tokenizer.encode(text)))
    repositories = dict[str, Repository]()
    cases = list(load_cases(options.data, tokenizer, repositories))
    times, hits, n_wanted = list[float](), defaultdict[int, int](int), 0
    used = defaultdict[int, list[int]](list)
    for case in cases:
        chosen, seconds = chosen_for(case, repositories[case.repository])
        times.append(seconds)
        if not case.wanted:
            continue
        n_wanted += 1
        for budget in options.budgets:
            missing = case.wanted - shown_names(chosen, count, budget)
            hits[budget] += not missing
            used[budget].append(sum(one.n_tokens for one in fit(chosen, count, budget)))
            if missing and options.missed and budget == options.show:
                print(f"{case.repository}/{case.path}: {case.answer!r} lacks {sorted(missing)}")
                print("    behind", repr(case.prefix[-80:]))
    print(f"{len(cases)} instances, {n_wanted} need names of other files")
    for budget in options.budgets:
        mean = statistics.mean(used[budget])
        print(f"{budget} tokens: {hits[budget] / n_wanted:.3f} have all ({mean:.0f} used)")
    n_chars = sum(len(text) for one in repositories.values() for text in one.texts.values())
    seconds = sum(one.seconds for one in repositories.values())
    print(f"indexing: {seconds / n_chars * 4e6:.1f} s for four million characters")
    print(f"choosing: median {statistics.median(times) * 1e3:.1f} ms, most {max(times) * 1e3:.1f}")


if __name__ == "__main__":
    main()
