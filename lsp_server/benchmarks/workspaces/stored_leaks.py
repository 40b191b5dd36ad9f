"""Search for answers in what an engine keeps on disk: its store, from which memory is read.

    <cache>/memory/<model>/manifest.sqlite, records-N.bin   tokens of segments: decoded, searched
    <cache>/definitions/definitions.sqlite                  facts of definitions: searched
    <cache>/memory/<model>/openings/                        keys and values, no text: see below

Rows of memory, and so the index of n-grams, are rows of this store: a segment that is not in it is
not in memory either, if ``memory.persist`` is on. An opening is used only for a prompt that begins
with the same tokens, so it shows nothing that the prompt does not.

A document that is opened for one answer shows the others of its file, as it does in an editor. So
its segments may hold these. They are told by their ids, which depend on path and text.

Workspaces of a run have one store. One may hold what is another's answer, such as a later state of
the same repository. It is not in the other's memory, which is compared with files that were
searched (`memory_report`). So `StoreSearch` tells what other workspaces have stored.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from longllama_code.definitions.fact_cache import cached_facts
from longllama_code.definitions.languages import language_of
from longllama_code.definitions.languages.facts import FileFacts
from longllama_code.errors import StoreError
from longllama_code.memory.segments.identity import path_header, segment_id
from longllama_code.memory.storage.stored_tokens import stored_ids, stored_tokens
from longllama_code.model_sources.catalog import model_dir
from longllama_code.tokenizers.loading import load_tokenizer
from longllama_code.tokenizers.tokenizer import ByteTokenizer, Tokenizer
from lsp_server.benchmarks.datasets.instance import Instance
from lsp_server.benchmarks.paths import files, read_source
from lsp_server.benchmarks.workspaces.leaks import Leak
from lsp_server.benchmarks.workspaces.passages import Passage, passages, plain_ends

MODELS_FOLDER, DEFINITIONS_FOLDER, MODEL_NAME_FILE = "memory", "definitions", "model"
"""Names in an engine's cache folder (``longllama_code/generation/engine_cache.py``)."""


@dataclass(frozen=True)
class Stored:
    """Some of what is in a cache folder."""

    segments: frozenset[tuple[str, str]] = frozenset()
    """Name of the model's folder, and id of the segment."""
    definitions: frozenset[str] = frozenset()
    """Texts of definitions."""

    def of(self, store: Path) -> frozenset[str]:
        """Return the ids of the segments of one model's store."""
        return frozenset(segment for name, segment in self.segments if name == store.name)


NOTHING = Stored()


class StoreSearch:
    """Search of a cache folder that the workspaces of a run have in common."""

    def __init__(self, folder: Path) -> None:
        """Begin with a folder, in which anything may be: all of that is searched.

        Args:
            folder: ``memory.cacheDir`` of the servers.
        """
        self._folder, self._searched = folder, NOTHING
        self._has_leaks = False

    @contextmanager
    def workspace(self) -> Generator[None, None, None]:
        """Count what is stored meanwhile as a workspace's own, unless `leaks` finds some in it.

        Raises:
            StoreError: the store cannot be read.
        """
        before, self._has_leaks = stored_in(self._folder), False
        yield
        if not self._has_leaks:
            after, known = stored_in(self._folder), self._searched
            self._searched = Stored(
                known.segments | (after.segments - before.segments),
                known.definitions | (after.definitions - before.definitions),
            )

    def leaks(self, instances: Sequence[Instance], workspace: Path) -> list[Leak]:
        """Return the answers in the folder, but for what workspaces of this run stored before.

        Arguments and errors are those of `leaks_in_store`.
        """
        found = leaks_in_store(self._folder, instances, workspace, self._searched)
        self._has_leaks = bool(found)
        return found


def stored_in(cache_folder: Path) -> Stored:
    """Return all that is in a cache folder.

    Raises:
        StoreError: it cannot be read.
    """
    return Stored(
        frozenset(
            (store.name, segment)
            for store in _stores(cache_folder)
            for segment in stored_ids(store)
        ),
        frozenset(_cached_texts(cache_folder / DEFINITIONS_FOLDER)),
    )


def leaks_in_store(
    cache_folder: Path,
    instances: Sequence[Instance],
    workspace: Path,
    without: Stored = NOTHING,
) -> list[Leak]:
    """Return the answers in what engines have stored in a cache folder.

    It reads everything in the folder, segment by segment, and may run beside an engine; facts of
    definitions are on disk once the engine has ended, or has read many files.

    Args:
        cache_folder: ``memory.cacheDir`` of the server.
        instances: all instances of the repository.
        workspace: the workspace, with the answers removed and searched before.
        without: what is not searched.

    Raises:
        StoreError: there is no store, or it cannot be read.
        ModelNotFound: the model whose store it is cannot be found, so its tokens have no text.
    """
    wanted = passages(instances)
    stores = _stores(cache_folder)
    if not stores:
        raise StoreError(
            f"{cache_folder} holds no store to search: set memory.persist to true, and give the "
            "folder that memory.cacheDir names."
        )
    found = [leak for store in stores for leak in _in_segments(store, wanted, without.of(store))]
    texts = _cached_texts(cache_folder / DEFINITIONS_FOLDER) - without.definitions
    return found + _in_definitions(texts, wanted, instances, workspace)


def _stores(cache_folder: Path) -> list[Path]:
    """Return the folders of all models' stores."""
    return sorted(path.parent for path in cache_folder.glob(f"{MODELS_FOLDER}/*/manifest.sqlite"))


def _in_segments(store: Path, wanted: Sequence[Passage], without: frozenset[str]) -> Iterator[Leak]:
    """Yield the answers in the segments of one model."""
    decoder = _Decoder(_tokenizer(store))
    wanted = [decoder.as_decoded(passage) for passage in wanted]
    several = {
        one.file for one in wanted for two in wanted if one is not two and one.file == two.file
    }
    for segment in stored_tokens(store, without):
        text = decoder.decode(segment.ids)
        compared = plain_ends(text)
        for passage in wanted:
            if not passage.is_partly_in(compared):
                continue
            own = segment_id(store.name, path_header(passage.file), text)
            if passage.file not in several or own != segment.segment_id:
                yield Leak(passage.instance, f"segment {segment.segment_id} of the store")


class _Decoder:
    """Text of tokens, with the bytes of each token looked up once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._token_bytes = cache(tokenizer.token_bytes)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self._token_bytes, ids)).decode("utf-8", "replace")

    def as_decoded(self, passage: Passage) -> Passage:
        """Return a passage without the characters that the vocabulary lacks."""
        parts = passage.before, passage.answer, passage.after
        before, answer, after = (self.decode(self._tokenizer.encode(part)) for part in parts)
        return Passage(passage.instance, passage.file, before, answer, after)


def _tokenizer(store: Path) -> Tokenizer:
    """Return the tokenizer of the model whose store it is, which is named in the folder."""
    try:
        name = (store / MODEL_NAME_FILE).read_text("utf-8").strip()
    except OSError as error:
        raise StoreError(
            f"{store} does not name its model ({error}); take an empty cache folder."
        ) from error
    return _loaded(name)


@cache
def _loaded(name: str) -> Tokenizer:
    return ByteTokenizer() if name == "tiny" else load_tokenizer(model_dir(name))


@dataclass(frozen=True)
class _Shown:
    """Answer that a definition in the cache shows."""

    passage: Passage
    text: str


def _cached_texts(folder: Path) -> set[str]:
    """Return the texts of all definitions in a folder."""
    try:
        return {text for facts in cached_facts(folder) for text in _texts(facts)}
    except sqlite3.Error as error:
        raise StoreError(f"the definitions in {folder} cannot be read: {error}.") from error


def _in_definitions(
    texts: set[str], wanted: Sequence[Passage], instances: Sequence[Instance], workspace: Path
) -> list[Leak]:
    """Return the answers that cached definitions show and no file in the workspace does.

    A definition is short, and files may have it in common. So what shows an answer is compared with
    the definitions of the workspace, and of documents opened for other answers.
    """
    found = [
        _Shown(passage, text)
        for text in sorted(texts)
        for passage in wanted
        if passage.is_partly_in(plain_ends(text))
    ]
    expected = _definitions_of(workspace) if found else frozenset[str]()
    leaking = {
        each.passage.instance: each
        for each in found
        if each.text not in expected and each.text not in _opened_for_others(each, instances)
    }
    return [Leak(name, f"the stored definition {each.text!r}") for name, each in leaking.items()]


def _definitions_of(workspace: Path) -> frozenset[str]:
    read = (
        _read(path.name, read_source(path)) for path in files(workspace) if language_of(path.name)
    )
    return frozenset(text for facts in read for text in _texts(facts))


def _opened_for_others(shown: _Shown, instances: Sequence[Instance]) -> set[str]:
    """Return the definitions of documents that are opened for other answers of the same file."""
    others = [
        each
        for each in instances
        if each.file == shown.passage.file and each.id != shown.passage.instance
    ]
    return {text for other in others for text in _texts(_read(other.file, other.opened))}


def _read(path: str, text: str) -> FileFacts:
    language = language_of(path)
    return FileFacts() if language is None else language.read(plain_ends(text))


def _texts(facts: FileFacts) -> Iterator[str]:
    """Yield the texts of a file's definitions, as they are cached."""
    for definition in facts.definitions:
        yield from filter(None, (definition.shown, definition.documentation))
