"""Shards of many repositories, with a list of their sources.

sources ──▶ rows ──▶ train-000.safetensors …     most repositories
                └──▶ held-out-000.safetensors …  one in twenty, for the held-out loss
                     shards.json
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.generation.prompting.definition_layout import LAYOUT_VERSION
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.model_sources.fetching import sha256_of
from longllama_code.research.cursor_rows.answers import check_trainable
from longllama_code.research.cursor_rows.drawing import Shares
from longllama_code.research.cursor_rows.making import RowMaker
from longllama_code.research.cursor_rows.shards import (
    MAX_SHARD_BYTES,
    Shard,
    ShardWriter,
    read_shard,
)
from longllama_code.research.datasets.sources import SourceTree
from longllama_code.tokenizers.tokenizer import Tokenizer

MANIFEST = "shards.json"
VERSION = 1
HELD_OUT_EVERY = 20
"""One repository in so many is held out."""
TRAIN, HELD_OUT = "train", "held-out"


@dataclass(frozen=True)
class Source:
    """A repository, and where it is from.

    Attributes:
        tree: its files, read when they are needed.
        name: its name.
        version: its version, if it is a published package.
        file: file name of the package.
        sha256: hash of the package, or of the tree's texts.
        licence: licence of the package, as its metadata state it.
    """

    tree: Callable[[], SourceTree]
    name: str
    version: str = ""
    file: str = ""
    sha256: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Collected:
    """Shards that were read.

    Attributes:
        train: rows to train on.
        held_out: rows of repositories that are not trained on.
        identity: hash of all of them.
        vocabulary: hash of the tokenizer's vocabulary.
    """

    train: Sequence[Shard]
    held_out: Sequence[Shard]
    identity: str
    vocabulary: str


def vocabulary_of(tokenizer: Tokenizer) -> str:
    """Return a hash of what each token of a vocabulary stands for."""
    digest = hashlib.sha256()
    for token in range(tokenizer.vocab_size):
        digest.update(tokenizer.token_bytes(token) + b"\0")
    return digest.hexdigest()


def write_shards(
    folder: Path,
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    marks: InfillMarks,
    shares: Shares,
    report: Callable[[str], None],
    max_bytes: int = MAX_SHARD_BYTES,
) -> Path:
    """Write the rows of some repositories; return the list of the shards.

    Args:
        folder: is made; it must have no shards.
        sources: the repositories.
        tokenizer: the model's.
        marks: the model's infill marks.
        shares: how cursors are drawn.
        report: receives a line for each repository.
        max_bytes: most bytes of a shard.

    Raises:
        ConfigError: the folder has shards, nothing can be trained on, or a repository must not be.
        DownloadError: a package could not be fetched.
    """
    _check(folder, sources)
    folder.mkdir(parents=True, exist_ok=True)
    writers = {stem: ShardWriter(folder, stem, max_bytes) for stem in (TRAIN, HELD_OUT)}
    maker, listed = RowMaker(tokenizer, marks, shares), list[dict[str, Any]]()
    for number, source in enumerate(sources):
        tree = source.tree()
        rows = maker.rows(tree)
        stem = HELD_OUT if _is_held_out(number, len(sources)) else TRAIN
        writers[stem].add(rows)
        listed.append(_listed(source, tree, len(rows.rows), stem))
        report(f"{number + 1}/{len(sources)} {source.name}: {len(rows.rows)} rows")
    for writer in writers.values():
        writer.flush()
    if not writers[TRAIN].paths:
        raise ConfigError(
            "no row to train on: the repositories have no file whose syntax is read and whose "
            "calls, arguments or statements are long enough; name larger ones."
        )
    files = [path for writer in writers.values() for path in writer.paths]
    return _write_manifest(folder, files, listed, vocabulary_of(tokenizer), shares)


def read_shards(folder: Path) -> Collected:
    """Return the shards of a folder, which are checked against their list.

    Raises:
        ConfigError: there is no list.
        CheckpointError: the list or a shard is damaged, or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ConfigError(f"{folder} has no {MANIFEST}; make it with `longllama shards {folder}`.")
    try:
        fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
        found = fields["version"], fields["layout"]
        files = [(folder / each["file"], each["sha256"]) for each in fields["shards"]]
        vocabulary: str = fields["vocabulary"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error!r}); make the shards again.") from error
    if found != (VERSION, LAYOUT_VERSION):
        raise CheckpointError(
            f"{path} has version and layout {found}, and this program reads "
            f"{(VERSION, LAYOUT_VERSION)}; make the shards again."
        )
    for each, sha256 in files:
        if not each.is_file() or sha256_of(each) != sha256:
            raise CheckpointError(f"{each} is missing or damaged; copy it again.")
    return Collected(
        [read_shard(each) for each, _ in files if each.name.startswith(TRAIN)],
        [read_shard(each) for each, _ in files if each.name.startswith(HELD_OUT)],
        hashlib.sha256("".join(sha256 for _, sha256 in files).encode()).hexdigest(),
        vocabulary,
    )


def read_all_shards(folders: Sequence[Path]) -> Collected:
    """Return the shards of several folders as one collection.

    Raises:
        ConfigError: a folder has no list, or they are for different models.
        CheckpointError: see ``read_shards``.
    """
    found = [read_shards(folder) for folder in folders]
    if len({each.vocabulary for each in found}) > 1:
        raise ConfigError(
            f"the shards of {', '.join(map(str, folders))} hold token ids of different "
            "vocabularies; name those of one model."
        )
    if len(found) == 1:
        return found[0]
    return Collected(
        [shard for each in found for shard in each.train],
        [shard for each in found for shard in each.held_out],
        hashlib.sha256("".join(each.identity for each in found).encode()).hexdigest(),
        found[0].vocabulary,
    )


def digest_of(tree: SourceTree) -> str:
    """Return a hash of a tree's paths and texts."""
    digest = hashlib.sha256()
    for path, text in sorted(tree.texts.items()):
        digest.update(f"{path}\0{text}\0".encode("utf-8", "replace"))
    return digest.hexdigest()


def _check(folder: Path, sources: Iterable[Source]) -> None:
    if (folder / MANIFEST).exists():
        raise ConfigError(f"{folder} has shards already; name another folder, or remove it.")
    names = [source.name for source in sources]
    for name in names:
        check_trainable(name)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not names:
        raise ConfigError(
            f"two repositories are named {twice}; give each once."
            if twice
            else "no repository is named; give --packages N or --repo PATH."
        )


def _is_held_out(number: int, n_sources: int) -> bool:
    """Whether a repository is held out: one in twenty, at least one of two."""
    if n_sources < HELD_OUT_EVERY:
        return n_sources > 1 and number == n_sources - 1
    return number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def _listed(source: Source, tree: SourceTree, n_rows: int, stem: str) -> dict[str, Any]:
    fields = {name: value for name, value in vars(source).items() if name != "tree"}
    fields["sha256"] = source.sha256 or digest_of(tree)
    return {**fields, "rows": n_rows, "held_out": stem == HELD_OUT}


def _write_manifest(
    folder: Path,
    files: Sequence[Path],
    sources: Sequence[dict[str, Any]],
    vocabulary: str,
    shares: Shares,
) -> Path:
    shards = [
        {"file": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in files
    ]
    fields = {
        "version": VERSION,
        "layout": LAYOUT_VERSION,
        "vocabulary": vocabulary,
        "shares": asdict(shares),
        "shards": shards,
        "sources": sources,
    }
    path = folder / MANIFEST
    path.write_text(json.dumps(fields, indent=2) + "\n", "utf-8")
    return path
