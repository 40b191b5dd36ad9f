"""Data of the probe: windows of held-out files, and memories of the other files."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from longllama_code.errors import ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.research.evaluation.losses import Window, windows_of
from longllama_code.research.evaluation.probe.head_capture import AllHeads, encode_all_heads

HELD_OUT = 0.25
"""Maximum share of a repository's files that are held out for windows."""
MAX_FILE_CHARS = 6_000
"""Maximum number of characters of each file in memory, so that memory has many files."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of windows and of tokens in memory."""

    windows: int = 8
    """Windows of each of the two sets."""
    window_tokens: int = 384
    memory_tokens: int = 4096
    skip_first: int = 0
    """Tokens at the start of each segment that memory omits (in addition to its path header)."""


@dataclass(frozen=True)
class Subject:
    """A repository with windows of some of its files, and a memory of the others."""

    name: str
    digest: str
    """Hash of its paths and texts."""
    windows: list[Window]
    memory: AllHeads


def split(trees: Sequence[SourceTree], rng: random.Random) -> tuple[list[SourceTree], ...]:
    """Split repositories into those that rank heads and those that choose among them.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(trees) < 2:
        raise ConfigError(
            f"the probe got {len(trees)} usable repositories and needs two at least, one to rank "
            "heads and another to choose; name more with --repo or --packages, or ask for smaller "
            "windows with --window-tokens."
        )
    shuffled = sorted(trees, key=lambda tree: (tree.name, digest(tree)))
    rng.shuffle(shuffled)
    half = len(shuffled) // 2
    return shuffled[:half], shuffled[half:]


def usable(loaded: LoadedModel, trees: Sequence[SourceTree], n_tokens: int) -> list[SourceTree]:
    """Return repositories with two files or more, one of them long enough for a window."""
    return [
        tree
        for tree in trees
        if len(tree.texts) > 1
        and any(_is_long(loaded, text, n_tokens) for text in tree.texts.values())
    ]


def subjects(
    loaded: LoadedModel, trees: Sequence[SourceTree], sizes: Sizes, rng: random.Random
) -> list[Subject]:
    """Return windows and memory of each repository; windows are distributed evenly."""
    made: list[Subject] = []
    for number, tree in enumerate(trees):
        n_windows = len(range(number, sizes.windows, len(trees)))
        made.append(_subject(loaded, tree, max(1, n_windows), sizes, rng))
    return made


def digest(tree: SourceTree) -> str:
    """Return a hash over the paths and texts of a repository."""
    summed = hashlib.blake2b(digest_size=16)
    for path in sorted(tree.texts):
        for part in (path, tree.texts[path]):
            summed.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return summed.hexdigest()


def _subject(
    loaded: LoadedModel, tree: SourceTree, n_windows: int, sizes: Sizes, rng: random.Random
) -> Subject:
    paths = sorted(tree.texts)
    rng.shuffle(paths)
    n_held = max(1, min(n_windows, round(HELD_OUT * len(paths))))
    long_enough = (p for p in paths if _is_long(loaded, tree.texts[p], sizes.window_tokens))
    held = list(islice(long_enough, n_held))
    places = [
        place
        for path in held
        for place in windows_of(loaded, path, tree.texts[path], sizes.window_tokens)
    ]
    windows = rng.sample(places, min(n_windows, len(places)))
    texts = {path: _beginning(tree.texts[path]) for path in paths if path not in held}
    memory = encode_all_heads(loaded, texts, sizes.memory_tokens, sizes.skip_first)
    return Subject(tree.name, digest(tree), windows, memory)


def _is_long(loaded: LoadedModel, text: str, n_tokens: int) -> bool:
    """Whether a text has as many tokens; no token is shorter than a byte."""
    if 4 * len(text) < n_tokens:
        return False
    return len(loaded.tokenizer.encode(text)) >= n_tokens


def _beginning(text: str) -> str:
    """Return the first lines of a text."""
    if len(text) <= MAX_FILE_CHARS:
        return text
    end = text.rfind("\n", 0, MAX_FILE_CHARS) + 1
    return text[: end or MAX_FILE_CHARS]
