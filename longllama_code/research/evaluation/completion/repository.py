"""Repository completion: lines and loss of held-out files under each condition."""

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
from longllama_code.research.evaluation.completion.conditions import (
    AFTER_CONDITIONS,
    CONDITIONS,
    DEFAULT_CONDITIONS,
    MARKED_CONDITIONS,
    PART_CONDITIONS,
    Answer,
    Condition,
    LineCompleter,
    Remember,
    make_conditions,
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
"""Tokens of the text after a cursor that the condition ``after-memory`` encodes."""


@dataclass(frozen=True)
class EvalOptions:
    """Everything that the result depends on, except the model and the repositories."""

    files: int = 4
    """Files held out of each repository, at most half of them."""
    lines: int = 16
    """Lines of each class and repository."""
    windows: int = 8
    """Windows of each repository."""
    window_tokens: int = 384
    memory_tokens: int = 20_000
    foreign_tokens: int = 20_000
    """Minimum number of tokens of other repositories' files, which are taken whole."""
    prompt_tokens: int = 6000
    conditions: tuple[str, ...] = DEFAULT_CONDITIONS
    seed: int = 0
    encoding: Encoding = Encoding()  # noqa: RUF009 - frozen


@dataclass(frozen=True)
class Site:
    """A repository with held-out and remembered files."""

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
        """Hash of the files and their roles."""
        digest = hashlib.sha256()
        for texts in (self.held_out, self.remembered):
            for path in sorted(texts):
                digest.update(f"{path}\0{texts[path]}\0".encode("utf-8", "surrogatepass"))
            digest.update(b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class LineRow:
    """A line completed under one condition."""

    repository: str
    path: str
    line: int
    kind: str
    condition: str
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
    loaded: LoadedModel, trees: Sequence[SourceTree], options: EvalOptions, progress: Progress
) -> Results:
    """Evaluate every condition on every repository.

    Raises:
        ConfigError: the options ask for what these repositories or this model cannot give.
    """
    check(trees, options)
    check_model(loaded, options)
    many = names_of_many(tree.texts for tree in trees)
    results = Results([])
    for tree in trees:
        results.sites.append(prepare(loaded, tree, many, options))
        progress(f"{tree.name}: {results.sites[-1].n_tokens} tokens in memory")
    for number, site in enumerate(results.sites):
        others = results.sites[number + 1 :] + results.sites[:number]
        conditions = _conditions(loaded, site, _foreign(others, options.foreign_tokens), options)
        results.lines.extend(_lines(loaded, site, conditions, options, progress))
        results.windows.extend(_windows(loaded, site, conditions, options, progress))
    return results


def check(trees: Sequence[SourceTree], options: EvalOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        ConfigError: a condition is unknown, a repository too small, or another one is missing.
    """
    if not trees:
        raise ConfigError("there is nothing to evaluate on; give --repo PATH or --packages N.")
    unknown = sorted(set(options.conditions) - set(CONDITIONS))
    if unknown or "local" not in options.conditions:
        raise ConfigError(
            f"--conditions is {','.join(options.conditions)}; name local, which the others are "
            f"compared with, and any of {', '.join(CONDITIONS[1:])}."
        )
    if set(AFTER_CONDITIONS) & set(options.conditions) and "own" not in options.conditions:
        raise ConfigError(
            f"--conditions is {','.join(options.conditions)}; add own, which "
            f"{' and '.join(AFTER_CONDITIONS)} add to and are compared with."
        )
    if len(trees) < 2 and {"foreign", "both"} & set(options.conditions):
        raise ConfigError(
            "the conditions foreign and both need another repository; give a second --repo, or "
            "--conditions without them."
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
    """Refuse conditions that the model does not support.

    Raises:
        ConfigError: a condition needs infill marks, and the model has none.
    """
    marks = InfillMarks.of(loaded.model.config, loaded.tokenizer)
    marked = [name for name in options.conditions if name in MARKED_CONDITIONS]
    if marks is None and marked:
        raise ConfigError(
            f"the condition {marked[0]} needs a model that was trained to fill in, and "
            f"{loaded.name} has no infill_marks in its config.json; train one with infill_marks "
            "and focus.infill, or leave the condition out."
        )


def prepare(
    loaded: LoadedModel, tree: SourceTree, many: frozenset[str], options: EvalOptions
) -> Site:
    """Hold out some files of a repository, and encode others until memory is full."""
    rng = random.Random(f"{options.seed} {tree.name}")
    n_held = min(options.files, len(tree.texts) // 2)
    held_out, rest = hold_out(tree, n_held / len(tree.texts), rng)
    # If not all files fit, memory holds files from anywhere in the tree, not the first by name.
    paths = sorted(rest.texts)
    rng.shuffle(paths)
    texts = {path: rest.texts[path] for path in paths}
    started = time.perf_counter()
    files = encode_repository(loaded, texts, options.encoding, options.memory_tokens)
    seconds = time.perf_counter() - started
    project = project_of({file.path: file.text for file in files}, many)
    return Site(tree.name, held_out.texts, files, seconds, project)


def complete_lines(
    conditions: Mapping[str, Complete],
    repository: str,
    texts: Mapping[str, str],
    cursors: Iterable[Cursor],
) -> Iterator[LineRow]:
    """Yield every line under every condition; a line of two classes is completed once."""
    done: dict[tuple[str, str, int], Answer] = {}
    for cursor in cursors:
        prefix = texts[cursor.path][: cursor.offset]
        for name, complete in conditions.items():
            key = name, cursor.path, cursor.line
            if key not in done:
                done[key] = complete(cursor, prefix)
            answer = done[key]
            yield LineRow(
                repository=repository,
                path=cursor.path,
                line=cursor.line,
                kind=cursor.kind,
                condition=name,
                wanted=cursor.wanted,
                found=answer.text.strip(),
                metrics=score(answer.text, cursor.wanted),
                tokens=answer.n_tokens,
                seconds=answer.seconds,
            )


def _lines(
    loaded: LoadedModel,
    site: Site,
    conditions: Mapping[str, Condition],
    options: EvalOptions,
    progress: Progress,
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
    completes = {
        name: _complete(completer, condition, site.held_out)
        for name, condition in conditions.items()
    }
    chosen = sample(found, options.lines, rng)
    progress(f"{site.name}: {len(chosen)} lines")
    return list(complete_lines(completes, site.name, site.held_out, chosen))


def _complete(completer: LineCompleter, condition: Condition, texts: Mapping[str, str]) -> Complete:
    def complete(cursor: Cursor, prefix: str) -> Answer:
        after = after_line(texts[cursor.path], cursor.offset)
        return completer.complete(condition, cursor.path, prefix, cursor.names, after)

    return complete


def after_line(text: str, offset: int) -> str:
    """Return the text after the line that contains an offset."""
    end = text.find("\n", offset)
    return "" if end < 0 else text[end:]


def _windows(
    loaded: LoadedModel,
    site: Site,
    conditions: Mapping[str, Condition],
    options: EvalOptions,
    progress: Progress,
) -> Iterator[WindowRow]:
    """Yield the losses of all conditions but the oracle, which needs a single line."""
    rng = random.Random(f"{options.seed} {site.name} windows")
    progress(f"{site.name}: {options.windows} windows")
    for window in loss_windows(
        loaded, site.held_out, site.project, options.windows, options.window_tokens, rng
    ):
        for name, condition in conditions.items():
            if name != "oracle":
                yield window_row(loaded, site.name, window, name, condition, options.prompt_tokens)


def _foreign(others: Sequence[Site], n_tokens: int) -> list[list[EncodedFile]]:
    """Return files of other repositories, one repository after the other, until they are enough."""
    trees: list[list[EncodedFile]] = []
    for site in others:
        trees.append([])
        for file in site.files:
            if n_tokens <= 0:
                return trees
            trees[-1].append(file)
            n_tokens -= file.n_tokens
    return trees


def _conditions(
    loaded: LoadedModel, site: Site, foreign: list[list[EncodedFile]], options: EvalOptions
) -> dict[str, Condition]:
    """Return the conditions of one repository; ``foreign`` are files of others."""
    own = memory_of(loaded, site.files)
    memories: dict[str, RepositoryMemory] = dict.fromkeys(
        ("own", *PART_CONDITIONS, "after-prompt"), own
    )
    if "foreign" in options.conditions:
        memories["foreign"] = memory_of(loaded, *foreign)
    if "both" in options.conditions:
        memories["both"] = memory_of(loaded, site.files, *foreign)
    return make_conditions(
        options.conditions,
        loaded.tokenizer,
        memories,
        site.remembered,
        site.project,
        _remember(loaded, site, options),
        InfillMarks.of(loaded.model.config, loaded.tokenizer),
    )


def _remember(loaded: LoadedModel, site: Site, options: EvalOptions) -> Remember:
    """Return memory as the server has it at a cursor, without the text up to its line's end."""

    def remember(path: str, after: str) -> RepositoryMemory:
        _, end = first_lines(after, loaded.tokenizer, MAX_AFTER_TOKENS)
        texts = {path: after[:end]}
        files = encode_repository(loaded, texts, options.encoding, before=site.files)
        return memory_of(loaded, [*site.files, *files])

    return remember
