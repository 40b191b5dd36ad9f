"""Repository completion: held-out files' lines and loss, with each arm side by side."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks, first_lines
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.research.datasets.sources import SourceTree, hold_out
from longllama_code.research.evaluation.completion.arms import (
    AFTER_ARMS,
    ARMS,
    DEFAULT_ARMS,
    MARKED_ARMS,
    PART_ARMS,
    Answer,
    Arm,
    LineCompleter,
    Remember,
    make_arms,
)
from longllama_code.research.evaluation.completion.heldout_loss import (
    WindowRow,
    loss_windows,
    window_row,
)
from longllama_code.research.evaluation.completion.lines import (
    Cursor,
    Project,
    cursors,
    names_of_many,
    project_of,
    sample,
)
from longllama_code.research.evaluation.completion.metrics import score
from longllama_code.research.evaluation.encodings import Encoding, encode_repository
from longllama_code.research.evaluation.memories import EncodedFile, memory_of

Progress = Callable[[str], None]
Complete = Callable[[Cursor, str], Answer]
"""Completes a line, given the text before it."""

MAX_AFTER_TOKENS = 2000
"""Tokens of the text after a cursor that the arm ``after-memory`` encodes."""


@dataclass(frozen=True)
class EvalOptions:
    """Everything beside the model and the repositories that the result depends on."""

    files: int = 4
    """Held out of each repository, at most half of its files."""
    lines: int = 16
    """Of each class and repository."""
    windows: int = 8
    """Of each repository."""
    window_tokens: int = 384
    memory_tokens: int = 20_000
    foreign_tokens: int = 20_000
    """Of other repositories, at least; whole files."""
    prompt_tokens: int = 6000
    arms: tuple[str, ...] = DEFAULT_ARMS
    seed: int = 0
    encoding: Encoding = Encoding()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class Site:
    """One repository: what is asked about, and what is remembered."""

    name: str
    held_out: Mapping[str, str]
    files: list[EncodedFile]
    encoding_seconds: float
    project: Project

    @property
    def remembered(self) -> dict[str, str]:
        """The files in memory."""
        return {file.path: file.text for file in self.files}

    @property
    def n_tokens(self) -> int:
        """Tokens in memory."""
        return sum(file.n_tokens for file in self.files)

    @property
    def digest(self) -> str:
        """Equal digests: the same files, in the same roles."""
        digest = hashlib.sha256()
        for texts in (self.held_out, self.remembered):
            for path in sorted(texts):
                digest.update(f"{path}\0{texts[path]}\0".encode("utf-8", "surrogatepass"))
            digest.update(b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class LineRow:
    """One line, completed by one arm."""

    repository: str
    path: str
    line: int
    kind: str
    arm: str
    wanted: str
    found: str
    metrics: dict[str, float]
    tokens: int
    """Tokens that went through the model."""
    seconds: float


@dataclass(frozen=True)
class Results:
    """Everything that was measured."""

    sites: list[Site]
    lines: list[LineRow] = field(default_factory=list[LineRow])
    windows: list[WindowRow] = field(default_factory=list[WindowRow])


def evaluate(
    loaded: LoadedModel, trees: Sequence[SourceTree], options: EvalOptions, say: Progress
) -> Results:
    """Ask every arm about every repository.

    Raises:
        ConfigError: the options ask for what these repositories or this model cannot give.
    """
    check(trees, options)
    check_model(loaded, options)
    many = names_of_many(tree.texts for tree in trees)
    results = Results([])
    for tree in trees:
        results.sites.append(prepare(loaded, tree, many, options))
        say(f"{tree.name}: {results.sites[-1].n_tokens} tokens in memory")
    for number, site in enumerate(results.sites):
        others = results.sites[number + 1 :] + results.sites[:number]
        arms = _arms(loaded, site, _foreign(others, options.foreign_tokens), options)
        results.lines.extend(_lines(loaded, site, arms, options, say))
        results.windows.extend(_windows(loaded, site, arms, options, say))
    return results


def check(trees: Sequence[SourceTree], options: EvalOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        ConfigError: an arm is unknown, a repository too small, or another one is missing.
    """
    if not trees:
        raise ConfigError("there is nothing to evaluate on; give --repo PATH or --packages N.")
    unknown = sorted(set(options.arms) - set(ARMS))
    if unknown or "local" not in options.arms:
        raise ConfigError(
            f"arms are {','.join(options.arms)}; name local, which the others are compared "
            f"with, and any of {', '.join(ARMS[1:])}."
        )
    if set(AFTER_ARMS) & set(options.arms) and "own" not in options.arms:
        raise ConfigError(
            f"arms are {','.join(options.arms)}; add own, which {' and '.join(AFTER_ARMS)} add to "
            "and are compared with."
        )
    if len(trees) < 2 and {"foreign", "both"} & set(options.arms):
        raise ConfigError(
            "the arms foreign and both need another repository; give a second --repo, or --arms "
            "without them."
        )
    if len({tree.name for tree in trees}) < len(trees):
        raise ConfigError("two repositories have one name; rename a folder, or leave one out.")
    for tree in trees:
        if len(tree.texts) < 2:
            raise ConfigError(
                f"{tree.name} has {len(tree.texts)} files worth reading; give a repository with at "
                "least two."
            )


def check_model(loaded: LoadedModel, options: EvalOptions) -> None:
    """Refuse what this model cannot be asked.

    Raises:
        ConfigError: an arm needs infill marks, and the model has none.
    """
    marks = InfillMarks.of(loaded.model.config, loaded.tokenizer)
    asked = [name for name in options.arms if name in MARKED_ARMS]
    if marks is None and asked:
        raise ConfigError(
            f"the arm {asked[0]} needs a model that was trained to fill in, and {loaded.name} "
            "has no infill_marks in its config.json; train one with infill_marks and "
            "focus.infill, or leave the arm out."
        )


def prepare(
    loaded: LoadedModel, tree: SourceTree, many: frozenset[str], options: EvalOptions
) -> Site:
    """Hold out some files of a repository, and encode others until memory is full."""
    rng = random.Random(f"{options.seed} {tree.name}")
    n_held = min(options.files, len(tree.texts) // 2)
    held_out, rest = hold_out(tree, n_held / len(tree.texts), rng)
    # Where not all fits, memory is to hold files from anywhere in the tree, not the first by name.
    paths = sorted(rest.texts)
    rng.shuffle(paths)
    texts = {path: rest.texts[path] for path in paths}
    started = time.perf_counter()
    files = encode_repository(loaded, texts, options.encoding, options.memory_tokens)
    seconds = time.perf_counter() - started
    project = project_of({file.path: file.text for file in files}, many)
    return Site(tree.name, held_out.texts, files, seconds, project)


def complete_lines(
    arms: Mapping[str, Complete], repository: str, texts: Mapping[str, str], asked: Iterable[Cursor]
) -> Iterator[LineRow]:
    """Let every arm complete every line; a line of two classes is completed once."""
    done: dict[tuple[str, str, int], Answer] = {}
    for cursor in asked:
        prefix = texts[cursor.path][: cursor.offset]
        for name, complete in arms.items():
            key = name, cursor.path, cursor.line
            if key not in done:
                done[key] = complete(cursor, prefix)
            answer = done[key]
            yield LineRow(
                repository=repository,
                path=cursor.path,
                line=cursor.line,
                kind=cursor.kind,
                arm=name,
                wanted=cursor.wanted,
                found=answer.text.strip(),
                metrics=score(answer.text, cursor.wanted),
                tokens=answer.n_tokens,
                seconds=answer.seconds,
            )


def _lines(
    loaded: LoadedModel, site: Site, arms: Mapping[str, Arm], options: EvalOptions, say: Progress
) -> list[LineRow]:
    if not options.lines:
        return []
    found = [
        cursor
        for path in sorted(site.held_out)
        for cursor in cursors(path, site.held_out[path], site.project)
    ]
    rng = random.Random(f"{options.seed} {site.name} lines")
    completer = LineCompleter(loaded, options.prompt_tokens)
    completes = {name: _complete(completer, arm, site.held_out) for name, arm in arms.items()}
    asked = sample(found, options.lines, rng)
    say(f"{site.name}: {len(asked)} lines")
    return list(complete_lines(completes, site.name, site.held_out, asked))


def _complete(completer: LineCompleter, arm: Arm, texts: Mapping[str, str]) -> Complete:
    def complete(cursor: Cursor, prefix: str) -> Answer:
        after = after_line(texts[cursor.path], cursor.offset)
        return completer.complete(arm, cursor.path, prefix, cursor.names, after)

    return complete


def after_line(text: str, offset: int) -> str:
    """The text from the end of the line on in which an offset stands; nothing of that line."""
    end = text.find("\n", offset)
    return "" if end < 0 else text[end:]


def _windows(
    loaded: LoadedModel, site: Site, arms: Mapping[str, Arm], options: EvalOptions, say: Progress
) -> Iterator[WindowRow]:
    """Losses of all arms but the oracle, which has no single line to know of."""
    rng = random.Random(f"{options.seed} {site.name} windows")
    say(f"{site.name}: {options.windows} windows")
    for window in loss_windows(
        loaded, site.held_out, site.project, options.windows, options.window_tokens, rng
    ):
        for name, arm in arms.items():
            if name != "oracle":
                yield window_row(loaded, site.name, window, name, arm, options.prompt_tokens)


def _foreign(others: Sequence[Site], n_tokens: int) -> list[list[EncodedFile]]:
    """Files of other repositories, one repository after the other, until they are enough."""
    trees: list[list[EncodedFile]] = []
    for site in others:
        trees.append([])
        for file in site.files:
            if n_tokens <= 0:
                return trees
            trees[-1].append(file)
            n_tokens -= file.n_tokens
    return trees


def _arms(
    loaded: LoadedModel, site: Site, foreign: list[list[EncodedFile]], options: EvalOptions
) -> dict[str, Arm]:
    """The arms of one repository; ``foreign`` are files of others."""
    own = memory_of(loaded, site.files)
    memories: dict[str, RepositoryMemory] = dict.fromkeys(("own", *PART_ARMS, "after-prompt"), own)
    if "foreign" in options.arms:
        memories["foreign"] = memory_of(loaded, *foreign)
    if "both" in options.arms:
        memories["both"] = memory_of(loaded, site.files, *foreign)
    return make_arms(
        options.arms,
        loaded.tokenizer,
        memories,
        site.remembered,
        site.project,
        _remember(loaded, site, options),
        InfillMarks.of(loaded.model.config, loaded.tokenizer),
    )


def _remember(loaded: LoadedModel, site: Site, options: EvalOptions) -> Remember:
    """Memory as the server has it at a cursor, without the text before it and its line."""

    def remember(path: str, after: str) -> RepositoryMemory:
        _, end = first_lines(after, loaded.tokenizer, MAX_AFTER_TOKENS)
        texts = {path: after[:end]}
        files = encode_repository(loaded, texts, options.encoding, before=site.files)
        return memory_of(loaded, [*site.files, *files])

    return remember
