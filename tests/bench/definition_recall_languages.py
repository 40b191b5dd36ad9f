"""Recall of imported names at their first use among the definitions shown, by language.

Public repositories, each checked out at the commit below as ``FOLDER/LANGUAGE/OWNER+NAME``. A case
is the first use of a name that is imported from another file of the repository: what stands from
the name on is cut. Wanted are the name's definition and, where a member of it is used that is
defined in the same file, that member's. In Go a package is imported, so the cut is behind its name
and the dot; in C and C++ whatever a header among the includes defines counts as imported. What
files define and use is told by the evaluation's reader, not by the one that is measured.

Usage: python tests/bench/definition_recall_languages.py FOLDER GGUF [--languages go …] [--missed]
"""

import argparse
import json
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from longllama_code.definitions.choice import choose
from longllama_code.definitions.chosen import Chosen
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import Import
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.gguf.header import read_header
from longllama_code.research.evaluation.completion.lines import read_names
from longllama_code.research.evaluation.names.reader import FileNames
from longllama_code.tokenizers.byte_bpe import byte_level_tokenizer
from longllama_code.tokenizers.tokenizer import FastTokenizer, Tokenizer

REPOSITORIES = {
    "typescript": {
        "colinhacks+zod": "e516c3baf226",
        "date-fns+date-fns": "dd66398305c2",
        "excalidraw+excalidraw": "4872083c0444",
        "honojs+hono": "28a9c128912d",
        "pmndrs+zustand": "f094eebe9bd3",
        "sindresorhus+got": "d00d845a0b43",
        "trpc+trpc": "340811ba5320",
        "typeorm+typeorm": "281bfba42a58",
        "vuejs+core": "e2bede96134f",
        "webpack+webpack": "bc3e930f75e3",
    },
    "go": {
        "caddyserver+caddy": "0cf03d32f7d9",
        "derailed+k9s": "24cf4628541e",
        "gin-gonic+gin": "dcaa4296d111",
        "golangci+golangci-lint": "6fb5dee3889d",
        "jesseduffield+lazydocker": "7e7aadc2071d",
        "jesseduffield+lazygit": "ea9163954698",
        "junegunn+fzf": "956562daaa82",
        "spf13+cobra": "adbc8813901b",
        "spf13+viper": "528f7416c4b5",
        "traefik+traefik": "fd5a576df2e8",
    },
    "rust": {
        "BurntSushi+ripgrep": "3fce3b5bb023",
        "alacritty+alacritty": "bdb72b32eeb0",
        "clap-rs+clap": "6982fb1c98c7",
        "helix-editor+helix": "079a789e8cb0",
        "hyperium+hyper": "8fcaf1a62787",
        "sharkdp+bat": "2ba8db9c14e5",
        "sharkdp+fd": "ee20f426ddf3",
        "starship+starship": "6f33dcec91b7",
        "tokio-rs+axum": "3d78036dcac2",
        "tokio-rs+mini-redis": "3d93b42bc363",
    },
    "java": {
        "Netflix+Hystrix": "7c03bafe32b5",
        "apache+commons-io": "d83aeb6f4774",
        "google+gson": "9835b6f90192",
        "google+guice": "621416a24089",
        "jhy+jsoup": "46b620860af9",
        "mockito+mockito": "ee8a330da021",
        "mybatis+mybatis-3": "69ee03634a27",
        "redis+jedis": "9bcb5c602b0a",
        "resilience4j+resilience4j": "af9e7c979f17",
        "spring-projects+spring-petclinic": "edf4db28affc",
    },
    "c": {
        "fmtlib+fmt": "60ccad511fd6",
        "google+leveldb": "78a352f47ed6",
        "jqlang+jq": "579e6f76cffd",
        "tmux+tmux": "c1f947a3c5bc",
    },
}
"""By language: owner and name, and the commit."""
SUFFIXES = {
    "typescript": (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs"),
    "go": (".go",),
    "rust": (".rs",),
    "java": (".java",),
    "c": (".c", ".h", ".cc", ".cpp", ".hpp"),
}
CONFIGURATION = ("go.mod", "Cargo.toml", "package.json", "tsconfig.json", "jsconfig.json")
SKIPPED = frozenset({"node_modules", "vendor", ".git", "dist", "build", "target"})
FILES_EACH = 10
USES_EACH = 20
MAX_CHARS = 200_000
MEMBER = re.compile(r"(?:\?\.|\.|::|->)([^\W\d]\w*)")
MODULE_LINE = re.compile(r"^module[ \t]+(\S+)", re.MULTILINE)
CRATE_NAME = re.compile(r'^name[ \t]*=[ \t]*"([^"]+)"', re.MULTILINE)


@dataclass
class Repository:
    """A repository's texts, what they define and use, and the modules that are its own."""

    texts: dict[str, str]
    suffixes: tuple[str, ...]
    index: DefinitionIndex = field(default_factory=DefinitionIndex)
    names: dict[str, FileNames] = field(default_factory=dict)
    defined: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    modules: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for path, text in self.texts.items():
            self.index.put(path, text)
            self.modules |= set(modules_of(path, text))
            names = read_names(path, text) if path.endswith(self.suffixes) else None
            if names is not None:
                self.names[path] = names
                for one in names.exported:
                    self.defined[one.name].add(path)


@dataclass
class Case:
    """A first use: the text before it, and the names whose definitions are wanted."""

    path: str
    prefix: str
    name: str
    member: str


def modules_of(path: str, text: str) -> Iterator[str]:
    """Yield names by which files of other folders know what this file is about."""
    name = PurePosixPath(path).name
    if name == "go.mod" and (found := MODULE_LINE.search(text)):
        yield found[1]
    elif name == "Cargo.toml":
        yield from (one.replace("-", "_") for one in CRATE_NAME.findall(text))
    elif name == "package.json":
        try:
            fields = json.loads(text)
        except ValueError:
            return
        if isinstance(fields, dict) and isinstance(fields.get("name"), str):
            yield fields["name"]
    elif name.endswith(".java") and (
        found := re.search(r"^package\s+([\w.]+)", text, re.MULTILINE)
    ):
        yield found[1]


def load(folder: Path, suffixes: tuple[str, ...]) -> Repository:
    """Everything of a folder in the language, with what configures its imports."""
    texts: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        wanted = path.suffix in suffixes or path.name in CONFIGURATION
        if not wanted or SKIPPED & set(relative.parts) or path.is_symlink() or not path.is_file():
            continue
        text = path.read_text("utf-8", "replace")
        if len(text) <= MAX_CHARS:
            texts[relative.as_posix()] = text
    return Repository(texts, suffixes)


def is_own(imported: Import, repository: Repository) -> bool:
    """Whether an import is of a module of the repository, as far as its first words tell."""
    module = imported.module
    first = re.split(r"::|/", module)[0]
    if module.startswith(".") or first in ("crate", "self", "super") or first in repository.modules:
        return True
    return any(module == one or module.startswith(one + "/") for one in repository.modules)


def imported_names(path: str, repository: Repository) -> dict[str, str]:
    """Return names of a file that are imported from others, each with what it is called there."""
    language, text = language_of(path), repository.texts[path]
    assert language is not None
    own = [one for one in language.read(text).imports if is_own(one, repository)]
    if path.endswith(".go"):
        return {one.alias: "" for one in own if one.alias != "*"}
    if path.endswith(SUFFIXES["c"]):
        return dict(included(path, repository))
    names = {one.alias: one.name.split(".")[-1] for one in own if one.name not in ("", "default")}
    return {alias: name for alias, name in names.items() if elsewhere(name, path, repository)}


def included(path: str, repository: Repository) -> Iterator[tuple[str, str]]:
    """Give names that the headers among a file's includes define."""
    headers = set(
        re.findall(
            r'^[ \t]*#[ \t]*include[ \t]*[<"][^">\n]*?([^/">\n]+)[">]',
            repository.texts[path],
            re.MULTILINE,
        )
    )
    for use in repository.names[path].uses:
        others = elsewhere(use.name, path, repository)
        if any(PurePosixPath(one).name in headers for one in others):
            yield use.name, use.name


def elsewhere(name: str, path: str, repository: Repository) -> set[str]:
    """Return the other files that define a name."""
    return repository.defined.get(name, set()) - {path}


def cases_of(path: str, repository: Repository) -> Iterator[Case]:
    """Yield the first uses in a file, in their order."""
    names, text = repository.names[path], repository.texts[path]
    imported = imported_names(path, repository)
    seen: set[tuple[str, str]] = set()
    for use in names.uses:
        name = imported.get(use.name)
        if name is None or use.line in names.imports or use.name in names.bound:
            continue
        start, behind = use.start, text[use.end : use.end + 100]
        if not name:  # a package: what is used of it is the name
            found = MEMBER.match(behind)
            if found is None or not elsewhere(found[1], path, repository):
                continue
            name, start = found[1], use.end + found.start(1)
            behind = behind[found.end() :]
        if (use.name, name) in seen:
            continue
        seen.add((use.name, name))
        yield Case(path, text[:start], name, member_of(name, behind, path, repository))


def member_of(name: str, behind: str, path: str, repository: Repository) -> str:
    """Return the member that is used of a name, if a file that defines the one has the other."""
    found = MEMBER.match(behind)
    if found is None:
        return ""
    is_there = elsewhere(name, path, repository) & elsewhere(found[1], path, repository)
    return found[1] if is_there else ""


def choose_for(case: Case, repository: Repository) -> tuple[list[Chosen], float]:
    """Return the choice, and the seconds that it took including reading the file."""
    start = time.perf_counter()
    chosen = choose(repository.index, case.path, case.prefix, "")
    return chosen, time.perf_counter() - start


def measure(
    repository: Repository, tokenizer: Tokenizer, budget: int, *, missed: bool
) -> tuple[list[tuple[bool, bool | None]], list[float]]:
    """Return for each case whether the definitions of name and member are shown; and times."""
    rng = random.Random(0)
    definitions = RepositoryDefinitions(tokenizer, None, repository.index)
    paths = sorted(repository.names)
    rng.shuffle(paths)
    hits, times, n_files = list[tuple[bool, bool | None]](), list[float](), 0
    for path in paths:
        cases = list(cases_of(path, repository))[:USES_EACH]
        n_files += bool(cases)
        for case in cases:
            repository.index.forget(case.path)  # it is being written
            chosen, seconds = choose_for(case, repository)
            times.append(seconds)
            of_file = definitions.used_by(case.path, case.prefix, budget).excerpts
            wanted = definitions.wanted(case.path, case.prefix, "", budget, of_file)
            repository.index.put(case.path, repository.texts[case.path])
            excerpts = (*of_file, *wanted.excerpts)
            shown = {one.name.split(".")[-1] for each in excerpts for one in each.chosen}
            hits.append((case.name in shown, case.member in shown if case.member else None))
            if missed and not (hits[-1][0] and hits[-1][1] is not False):
                among = {one.name.split(".")[-1] for one in chosen}
                lacks = [one for one in (case.name, case.member) if one and one not in shown]
                why = "crowded out" if set(lacks) <= among else "not chosen"
                print(f"{path}: lacks {lacks}, {why}, behind {case.prefix[-60:]!r}")
        if n_files == FILES_EACH:
            break
    return hits, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--languages", nargs="+", default=list(SUFFIXES), choices=list(SUFFIXES))
    parser.add_argument("--repositories", nargs="+", help="only these")
    parser.add_argument("--missed", action="store_true", help="print what is missed")
    parser.add_argument("--budget", type=int, default=512)
    options = parser.parse_args()
    metadata = read_header(options.gguf).metadata
    tokenizer = FastTokenizer(byte_level_tokenizer(metadata, options.gguf), None, 0)
    for language in options.languages:
        all_hits, all_times = list[tuple[bool, bool | None]](), list[float]()
        for name in options.repositories or sorted(REPOSITORIES[language]):
            repository = load(options.folder / language / name, SUFFIXES[language])
            hits, times = measure(repository, tokenizer, options.budget, missed=options.missed)
            say(f"{language} {name}", hits, times)
            all_hits += hits
            all_times += times
        say(language, all_hits, all_times)


def say(what: str, hits: list[tuple[bool, bool | None]], times: list[float]) -> None:
    """Print the shares."""
    if not hits:
        print(f"{what}: nothing to measure", flush=True)
        return
    members = [member for _, member in hits if member is not None]
    both = [name and member is not False for name, member in hits]
    share = f", members {statistics.mean(members):.3f} of {len(members)}" if members else ""
    print(
        f"{what}: {len(hits)} first uses, name {statistics.mean(name for name, _ in hits):.3f}"
        f"{share}, all {statistics.mean(both):.3f}; choosing: median"
        f" {statistics.median(times) * 1e3:.1f} ms, most {max(times) * 1e3:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
