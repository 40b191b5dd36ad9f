"""Loss by size of memory: a repository's own files first, then others' as distractors.

    files of a repository ──┬── held out ──▶ windows
                            └── the rest ──▶ own memory ──▶ + other repositories ──▶ ... N tokens

Each window's loss is compared with its own loss without memory, so at 0 tokens the change is 0.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.research.datasets.sources import SourceTree, hold_out
from longllama_code.research.evaluation.lengths.growing import GrowingMemory
from longllama_code.research.evaluation.losses import Window, token_losses, windows_of
from longllama_code.research.evaluation.memories import EncodedFile, encode_files
from longllama_code.research.evaluation.probe.head_choice import Change

HELD_OUT = 0.25
OWN = "own/"
"""Prefix of the repository's own paths; those of other repositories have ``other/…``."""


@dataclass(frozen=True)
class SizeOptions:
    """Options of the evaluation."""

    lengths: tuple[int, ...] = (0, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 256_000)
    """Sizes of memory, in tokens."""
    own_tokens: int = 32_000
    """Maximum number of tokens of each repository that are encoded, for itself and for others."""
    windows: int = 8
    """Number of windows of each repository."""
    window_tokens: int = 384
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """One repository at one size of memory."""

    repository: str
    length: int
    memory_tokens: int
    """Tokens in memory: whole segments, at most ``length``."""
    own_tokens: int
    """Tokens in memory of the repository itself."""
    changes: list[float]
    """Change of each window's loss against that without memory, in nats per token."""


@dataclass(frozen=True)
class SizeResult:
    """Results for all sizes that every repository reached, so means are over the same windows."""

    options: SizeOptions
    measured: list[Measured]
    local_loss: dict[str, list[float]]
    """Loss of each window without memory, in nats per token, by repository."""
    unreached: list[int] = field(default_factory=list[int])

    def lengths(self) -> list[int]:
        """Return the sizes that were reached."""
        return [n for n in sorted(self.options.lengths) if n not in self.unreached]

    def change(self, length: int, repository: str | None = None) -> Change:
        """Return the mean change over the windows of one repository, or of all."""
        return Change.of(
            [
                change
                for one in self.measured
                if one.length == length and repository in (None, one.repository)
                for change in one.changes
            ]
        )

    def own_share(self, length: int) -> float:
        """Return the share of tokens in memory that are the repositories' own, 0 to 1."""
        at = [one for one in self.measured if one.length == length]
        return sum(one.own_tokens for one in at) / max(1, sum(one.memory_tokens for one in at))


def memory_sizes(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: SizeOptions,
    progress: Callable[[str], None] = lambda _: None,
) -> SizeResult:
    """Measure every repository at every size.

    Raises:
        ConfigError: no repository has two files and one long enough for a window, or two
            repositories share a name.
    """
    names = [tree.name for tree in trees]
    if len(set(names)) < len(names):
        raise ConfigError(f"two repositories share a name ({', '.join(names)}); name each once.")
    windows, encoded = _prepare(loaded, trees, options, progress)
    if not windows:
        raise ConfigError(
            f"none of {len(trees)} repositories has two files and one of {options.window_tokens} "
            "tokens to ask about; name others with --repo or --packages, or give a smaller "
            "--window-tokens."
        )
    measured: list[Measured] = []
    local: dict[str, list[float]] = {}
    for name, own_windows in windows.items():
        local[name] = [_loss(loaded, window, None) for window in own_windows]
        measured += _grow(loaded, name, own_windows, local[name], encoded, options)
        progress(f"{name}: {len(own_windows)} windows measured")
    full = {n for n in options.lengths if sum(m.length == n for m in measured) == len(windows)}
    kept = [one for one in measured if one.length in full]
    return SizeResult(options, kept, local, sorted(set(options.lengths) - full))


def divide(
    loaded: LoadedModel, tree: SourceTree, options: SizeOptions, rng: random.Random
) -> tuple[list[Window], dict[str, str]]:
    """Return windows of some files of a repository, and the other files, in random order."""
    held, rest = hold_out(tree, HELD_OUT, rng)
    own_windows = held_out_windows(loaded, held, options, rng)
    paths = sorted(rest.texts)
    rng.shuffle(paths)
    return own_windows, {path: rest.texts[path] for path in paths}


def held_out_windows(
    loaded: LoadedModel, held: SourceTree, options: SizeOptions, rng: random.Random
) -> list[Window]:
    """Return windows that do not overlap, drawn from all files that are held out."""
    places = [
        place
        for path, text in sorted(held.texts.items())
        for place in windows_of(loaded, path, text, options.window_tokens)
    ]
    return rng.sample(places, min(options.windows, len(places)))


def _prepare(
    loaded: LoadedModel,
    trees: Sequence[SourceTree],
    options: SizeOptions,
    progress: Callable[[str], None],
) -> tuple[dict[str, list[Window]], dict[str, list[EncodedFile]]]:
    """Return windows of each repository that has some, and its encoded files, in random order."""
    windows: dict[str, list[Window]] = {}
    encoded: dict[str, list[EncodedFile]] = {}
    for tree in trees:
        rng = random.Random(f"sizes {options.seed} {tree.name}")
        own_windows, texts = divide(loaded, tree, options, rng)
        encoded[tree.name] = encode_files(loaded, texts, options.own_tokens)
        if own_windows and texts:
            windows[tree.name] = own_windows
        progress(
            f"{tree.name}: {sum(file.n_tokens for file in encoded[tree.name]):,} tokens encoded"
        )
    return windows, encoded


def _grow(
    loaded: LoadedModel,
    name: str,
    windows: Sequence[Window],
    local: Sequence[float],
    encoded: Mapping[str, list[EncodedFile]],
    options: SizeOptions,
) -> Iterator[Measured]:
    """Yield one repository at every size that its own and the others' files reach."""
    growing = GrowingMemory(loaded, [*_own(encoded[name]), *_others(encoded, name)])
    for length in sorted(options.lengths):
        if not growing.grow(length):
            return
        changes = [
            _loss(loaded, window, growing.memory) - before
            for window, before in zip(windows, local, strict=True)
        ]
        yield Measured(name, length, growing.n_tokens, _own_tokens(growing.memory), changes)


def _own(files: Sequence[EncodedFile]) -> Iterator[EncodedFile]:
    for file in files:
        yield replace(file, path=f"{OWN}{file.path}")


def _others(encoded: Mapping[str, list[EncodedFile]], name: str) -> Iterator[EncodedFile]:
    """Yield the files of the other repositories, one of each in turn."""
    columns = [
        [replace(file, path=f"other/{other}/{file.path}") for file in files]
        for other, files in encoded.items()
        if other != name
    ]
    for turn in zip_longest(*columns):
        yield from (file for file in turn if file is not None)


def _own_tokens(memory: RepositoryMemory) -> int:
    return sum(memory.n_tokens(path) for path in memory.files if path.startswith(OWN))


def _loss(loaded: LoadedModel, window: Window, memory: RepositoryMemory | None) -> float:
    """Return mean loss over a window's tokens, in nats per token."""
    view = None if memory is None else CompletionMemory(memory, None)
    return float(token_losses(loaded, window.ids, window.n_head, view).mean())
