"""GGUF files that other programs keep on this machine, used where they lie.

    ollama:qwen2.5-coder:1.5b            a manifest of Ollama's ─▶ its blob
    lmstudio:publisher/repo/file.gguf    in LM Studio's folder
    llama.cpp:file.gguf                  in the cache of llama.cpp
    hub:owner/name/file.gguf             in the cache of the model hub's library

Manifests and names are untrusted: a digest must be 64 hex digits, a name cannot lead out of
its folder, and what is read is bounded.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

from huggingface_hub import constants

from longllama_code.errors import CheckpointError, LongLlamaError, ModelNotFound
from longllama_code.gguf.file import GgufFile, part_paths
from longllama_code.gguf.header import read_header
from longllama_code.json_text import as_json
from longllama_code.tokenizers.byte_bpe import check_tokenizer

MOST_FILES = 1000
"""Maximum number of files listed per program."""
MOST_MANIFEST_BYTES = 1 << 20
OLLAMA_MODEL = "application/vnd.ollama.image.model"
OLLAMA_REGISTRY = ("registry.ollama.ai", "library")
"""Registry and owner of an Ollama name that gives neither."""
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.-]*")
"""Part of a path: never hidden, never ``..``."""
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_LATER_PART = re.compile(r".*-(?!00001)\d{5}-of-\d{5}\.gguf")


@dataclass(frozen=True)
class LocalModel:
    """A GGUF file on this machine.

    Attributes:
        name: what the user may call it.
        path: where it is.
        n_bytes: its size, with all parts of a split one.
        architecture: as in its header; empty if that cannot be read.
        refusal: why it cannot be run; empty if it can.
    """

    name: str
    path: Path
    n_bytes: int
    architecture: str = ""
    refusal: str = ""


def local_models() -> Iterator[LocalModel]:
    """Yield every model of other programs here, one after the other: headers take a moment to read.

    A damaged or unsupported file has a ``refusal``.
    """
    for program, models in _PROGRAMS.items():
        for rest, path in islice(models.listed(), MOST_FILES):
            name = f"{program}:{rest}"
            try:
                yield look_at(name, find(name) or path)
            except LongLlamaError as error:
                yield LocalModel(name, path, 0, refusal=_reason(error, path))


def find(name: str) -> Path | None:
    """Return the file that a name of another program's means; None for a name of another form.

    Raises:
        ModelNotFound: there is no such model; the message says how to see those that are here.
        CheckpointError: a manifest is damaged.
    """
    program, separator, rest = name.partition(":")
    if not separator or program not in _PROGRAMS:
        return None
    path = _PROGRAMS[program].found(rest)
    if path is None:
        raise ModelNotFound(
            f"there is no '{name}' on this machine: `longllama models` lists those that are here"
        )
    return path


def look_at(name: str, path: Path) -> LocalModel:
    """Describe a file by its header alone."""
    n_bytes, metadata, refusal = 0, dict[str, Any](), ""
    try:
        n_bytes = sum(part.stat().st_size for part in part_paths(path))
        metadata = {**GgufFile.open(path).metadata}
        check_tokenizer(metadata, path)
    except (CheckpointError, OSError) as error:
        refusal = _reason(error, path)
        metadata = metadata or _metadata(path)
    return LocalModel(name, path, n_bytes, str(metadata.get("general.architecture", "")), refusal)


def _metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of an unsupported model; empty for a damaged one."""
    try:
        return {**read_header(path).metadata}
    except CheckpointError:
        return {}


def _reason(error: Exception, path: Path) -> str:
    """Return an error in a list that names the file already."""
    return str(error).removeprefix(f"{path} ")


@dataclass(frozen=True)
class _Program:
    """Names and files of one program's models."""

    listed: Callable[[], Iterator[tuple[str, Path]]]
    found: Callable[[str], Path | None]


def _in_folders(folders: Callable[[], list[Path]]) -> _Program:
    """Return a program whose names are paths in its folders."""

    def listed() -> Iterator[tuple[str, Path]]:
        for folder in folders():
            for path in _files(folder):
                if path.suffix == ".gguf" and not _LATER_PART.fullmatch(path.name):
                    yield path.relative_to(folder).as_posix(), path

    def found(name: str) -> Path | None:
        if not name.endswith(".gguf") or not _is_plain(name):
            return None
        paths = (folder / name for folder in folders())
        return next((path for path in paths if _is_file(path)), None)

    return _Program(listed, found)


def llama_cpp_folders() -> list[Path]:
    """Return the folders where llama.cpp keeps files that it fetched."""
    named = os.environ.get("LLAMA_CACHE")
    if named:
        return [Path(named)]
    if sys.platform == "darwin":
        return [Path.home() / "Library/Caches/llama.cpp"]
    if sys.platform == "win32":
        return [Path(os.environ.get("LOCALAPPDATA", Path.home())) / "llama.cpp"]
    return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llama.cpp"]


def _lm_studio_folders() -> list[Path]:
    return [Path.home() / ".lmstudio/models", Path.home() / ".cache/lm-studio/models"]


def _ollama_folders() -> list[Path]:
    named = os.environ.get("OLLAMA_MODELS")
    own = Path(named) if named else Path.home() / ".ollama/models"
    return [own, Path("/usr/share/ollama/.ollama/models")]


def _ollama_listed() -> Iterator[tuple[str, Path]]:
    for folder in _ollama_folders():
        for manifest in _files(folder / "manifests"):
            steps = manifest.relative_to(folder / "manifests").parts
            if len(steps) != 4 or not all(map(_PLAIN.fullmatch, steps)):
                continue
            yield _ollama_name(*steps), manifest


def _ollama_name(registry: str, owner: str, model: str, tag: str) -> str:
    if (registry, owner) == OLLAMA_REGISTRY:
        return f"{model}:{tag}"
    steps = (owner, model) if registry == OLLAMA_REGISTRY[0] else (registry, owner, model)
    return f"{'/'.join(steps)}:{tag}"


def _ollama_found(name: str) -> Path | None:
    path, _, tag = name.partition(":")
    steps = path.split("/")
    steps = [*OLLAMA_REGISTRY[: max(0, 3 - len(steps))], *steps, tag or "latest"]
    if len(steps) != 4 or not all(map(_PLAIN.fullmatch, steps)):
        return None
    for folder in _ollama_folders():
        manifest = folder.joinpath("manifests", *steps)
        if _is_file(manifest):
            return _blob(folder, manifest)
    return None


def _blob(folder: Path, manifest: Path) -> Path:
    """Return the weights that a manifest names.

    Raises:
        CheckpointError: it is damaged, or names none that are here.
    """
    for layer in _layers(manifest):
        if layer.get("mediaType") == OLLAMA_MODEL:
            digest = _DIGEST.fullmatch(str(layer.get("digest")))
            if digest is None:
                raise CheckpointError(
                    f"{manifest} names a digest {as_json(layer.get('digest'), 80)}, which is none: "
                    "pull the model again with Ollama"
                )
            blob = folder / "blobs" / f"sha256-{digest[1]}"
            if not _is_file(blob):
                raise CheckpointError(
                    f"{manifest} names {blob}, which is not there: pull the model again with Ollama"
                )
            return blob
    raise CheckpointError(f"{manifest} names no model: pull the model again with Ollama")


def _layers(manifest: Path) -> list[Mapping[str, Any]]:
    try:
        with manifest.open("rb") as file:
            text = file.read(MOST_MANIFEST_BYTES + 1)
        if len(text) > MOST_MANIFEST_BYTES:
            raise ValueError(f"more than {MOST_MANIFEST_BYTES} bytes")
        layers = cast("list[Any]", json.loads(text)["layers"])
        return [layer for layer in layers if isinstance(layer, dict)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{manifest} is no manifest ({error}): pull the model again with Ollama"
        ) from error


def _hub_listed() -> Iterator[tuple[str, Path]]:
    """Yield names and paths; of several snapshots with a file, the newest counts."""
    named = dict[str, Path]()
    for snapshot in _snapshots("models--*"):
        repository = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/", 1)
        for path in _files(snapshot):
            if path.suffix == ".gguf" and not _LATER_PART.fullmatch(path.name):
                named.setdefault(f"{repository}/{path.relative_to(snapshot).as_posix()}", path)
    yield from named.items()


def _hub_found(name: str) -> Path | None:
    owner, _, rest = name.partition("/")
    model, _, file = rest.partition("/")
    is_repository = _PLAIN.fullmatch(owner) and _PLAIN.fullmatch(model)
    if not file.endswith(".gguf") or not is_repository or not _is_plain(file):
        return None
    paths = (snapshot / file for snapshot in _snapshots(f"models--{owner}--{model}"))
    return next((path for path in paths if _is_file(path)), None)


def _snapshots(pattern: str) -> list[Path]:
    found = Path(constants.HF_HUB_CACHE).glob(f"{pattern}/snapshots/*")
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, of which links to folders are not followed."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(at, name) for name in sorted(names))


def _is_plain(name: str) -> bool:
    """Whether a name leads to a file below the folder that it is looked for in."""
    return not re.search(r"[\\:\0]", name) and not {"", ".", ".."} & set(name.split("/"))


def _is_file(path: Path) -> bool:
    """Whether there is a plain file that we may see: no pipe, on which reading would wait."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a folder of another user
        return False


_PROGRAMS: Mapping[str, _Program] = {
    "ollama": _Program(_ollama_listed, _ollama_found),
    "lmstudio": _in_folders(_lm_studio_folders),
    "llama.cpp": _in_folders(llama_cpp_folders),
    "hub": _Program(_hub_listed, _hub_found),
}
