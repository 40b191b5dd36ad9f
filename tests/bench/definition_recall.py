"""Recall of the names that an answer needs among the definitions that the model sees.

Instances of CrossCodeEval: the answer's line is cut out of its file, the other files of the
repository are in the index. Counted are the instances where a name of the answer is defined in
another file and stands nowhere in the local text (512 tokens before the cursor, 512 behind it): all
such names must be shown, by what all prompts of the file begin with or by what the cursor's does
besides. What is defined is told by ``ast``, not by the reader that is measured.

With ``--pieces`` the definitions are those that are placed before a prompt as memory: whole pieces
of files, which do not depend on the cursor.

Usage: python tests/bench/definition_recall.py DATA GGUF [--missed] [--budgets 256 512 768 1536]
"""

import argparse
import ast
import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from longllama_code.definitions.choice import choose
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.excerpt_source import ExcerptSource
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from longllama_code.gguf.header import read_header
from longllama_code.tokenizers.byte_bpe import byte_level_tokenizer
from longllama_code.tokenizers.tokenizer import FastTokenizer, Tokenizer

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
    """CPU seconds of this process for indexing."""

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
    """Yield names of functions, classes, methods and variables of a file."""
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
    """Return the tokenizer of a GGUF file."""
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
    """Return names in the local text."""
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


@dataclass
class Shown:
    """Definitions of other files that fit into a number of tokens."""

    names: set[str]
    n_of_file: int
    """Lines of all prompts of the file."""
    n_of_cursor: int


def shown(case: Case, definitions: ExcerptSource, budget: int) -> Shown:
    """Return the definitions shown within a budget."""
    text = case.prefix + case.suffix
    of_file = definitions.used_by(case.path, text, budget).excerpts
    of_cursor = definitions.wanted(case.path, case.prefix, case.suffix, budget, of_file).excerpts
    names = set(NAME.findall("\n".join(one.text for one in (*of_file, *of_cursor))))
    counts = (sum(one.text.count("\n") + 1 for one in part) for part in (of_file, of_cursor))
    return Shown(names, *counts)


def seconds_to_choose(case: Case, index: DefinitionIndex) -> float:
    """Processor seconds of one choice, the text having been read already, as it is once a line."""
    choose(index, case.path, case.prefix, case.suffix)
    start = time.process_time()
    choose(index, case.path, case.prefix, case.suffix)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--missed", action="store_true", help="print what is missed")
    parser.add_argument("--budgets", type=int, nargs="+", default=[256, 512, 768, 1536])
    parser.add_argument("--show", type=int, default=512, help="budget to print what is missed at")
    parser.add_argument("--pieces", action="store_true", help="pieces, as in memory")
    options = parser.parse_args()
    tokenizer = load_tokenizer(options.gguf)
    repositories = dict[str, Repository]()
    cases = list(load_cases(options.data, tokenizer, repositories))
    times, hits, n_wanted = list[float](), defaultdict[int, int](int), 0
    of_cursor = defaultdict[int, list[float]](list)
    for case in cases:
        repository = repositories[case.repository]
        repository.index.forget(case.path)  # the file itself is being written
        definitions = RepositoryDefinitions(tokenizer, None, repository.index)
        times.append(seconds_to_choose(case, repository.index))
        n_wanted += bool(case.wanted)
        for budget in options.budgets if case.wanted else ():
            source = DefinitionPieces(definitions) if options.pieces else definitions
            found = shown(case, source, budget)
            missing = case.wanted - found.names
            hits[budget] += not missing
            of_cursor[budget].append(
                found.n_of_cursor / max(1, found.n_of_cursor + found.n_of_file)
            )
            if missing and options.missed and budget == options.show:
                print(f"{case.repository}/{case.path}: {case.answer!r} lacks {sorted(missing)}")
                print("    behind", repr(case.prefix[-80:]))
        repository.index.put(case.path, repository.texts[case.path])
    print(f"{len(cases)} instances, {n_wanted} need names of other files")
    for budget in options.budgets:
        share = statistics.mean(of_cursor[budget])
        print(f"{budget} tokens: {hits[budget] / n_wanted:.3f} have all; {share:.2f} of the cursor")
    n_chars = sum(len(text) for one in repositories.values() for text in one.texts.values())
    seconds = sum(one.seconds for one in repositories.values())
    print(f"indexing: {seconds / n_chars * 4e6:.1f} s for four million characters")
    print(f"choosing: median {statistics.median(times) * 1e3:.1f} ms, most {max(times) * 1e3:.1f}")


if __name__ == "__main__":
    main()
