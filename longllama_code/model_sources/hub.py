"""Checkpoints of a model hub, fetched by ``huggingface_hub`` with its cache, mirrors and tokens.

    config.json, checked ──▶ list of files ──▶ room on the disk ──▶ weights, tokenizer ──▶ links

Files stay in that library's cache: a connection that broke goes on, and a pull that was stopped
goes on with the next file. A model's folder links to them. ``HF_ENDPOINT`` names a mirror,
``HF_HUB_OFFLINE`` keeps to what is here. No file with code is fetched.

Every engine imports this module, for the catalog's sources, and seldom fetches. So names of the
library are looked up where they are used: it imports its modules, and an HTTP library, then.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import huggingface_hub
from huggingface_hub import constants

from longllama_code.errors import CheckpointError, DownloadError
from longllama_code.json_text import as_json
from longllama_code.model_sources.fetching import GB, Report

if TYPE_CHECKING:
    from huggingface_hub.utils import tqdm

ANSWER_SECONDS = 4.0
"""Timeout of the first request to a hub if there are other sources."""
CONFIG = "config.json"
SOURCE_FILE = "source.json"
"""File in a model's folder that names its repository and commit."""
TEXTS = (
    CONFIG,
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "LICENSE*",
)
WEIGHTS = ("model*.safetensors*", "pytorch_model*.bin*")
"""Kinds of weight files; the first that a repository has is fetched."""
CHECKED = (
    "mem_layers",
    "max_position_embeddings",
    "rope_theta",
    "rope_scaling",
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
)
"""Fields of a ``config.json`` that must equal those of the catalog."""
_DEFAULTS: Mapping[str, Any] = {"mem_layers": [], "rope_theta": 10000.0, "rope_scaling": None}


@dataclass(frozen=True)
class HubSource:
    """A repository of the hub.

    Attributes:
        repository: ``owner/name``.
        revision: a commit, branch or tag; absent, the newest commit.
        expected: fields of its ``config.json`` that are known beforehand.
    """

    repository: str
    revision: str | None = None
    expected: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def build(self, folder: Path, overrides: Mapping[str, Any], report: Report) -> None:
        """Fetch what is not in the cache yet, and link it into the empty ``folder``.

        Raises:
            DownloadError: the hub cannot be reached, or refuses; or the disk is too small.
            CheckpointError: the checkpoint contradicts what is expected of it.
        """
        report("download", 0.0)
        with _explained(self.repository):
            config = Path(
                huggingface_hub.hf_hub_download(self.repository, CONFIG, revision=self.revision)
            )
            check_fields(config, self.expected)
            commit = config.parent.name
            sizes = self._sizes(config.parent)
            names = wanted_files(list(sizes))
            self._check_disk(commit, {name: sizes[name] for name in names})
            done, total, paths = 0, sum(sizes[name] for name in names) or 1, dict[str, Path]()
            for name in names:
                paths[name] = Path(
                    huggingface_hub.hf_hub_download(self.repository, name, revision=commit)
                )
                done += sizes[name]
                report("download", 0.95 * done / total)
        fill_folder(folder, paths, overrides, {"repository": self.repository, "commit": commit})

    def _sizes(self, snapshot: Path) -> dict[str, int]:
        """Return bytes of each file of a commit; offline, of those in the cache."""
        if constants.HF_HUB_OFFLINE:
            return {path.name: path.stat().st_size for path in snapshot.iterdir()}
        info = huggingface_hub.HfApi().model_info(
            self.repository, revision=snapshot.name, files_metadata=True
        )
        return {file.rfilename: file.size or 0 for file in info.siblings or []}

    def _check_disk(self, commit: str, sizes: Mapping[str, int]) -> None:
        missing = sum(
            size
            for name, size in sizes.items()
            if not isinstance(
                huggingface_hub.try_to_load_from_cache(self.repository, name, revision=commit), str
            )
        )
        _require_room(self.repository, missing)


@dataclass(frozen=True)
class FolderSource:
    """A folder that holds the files of a repository, such as a mirror on a shared disk."""

    path: Path
    expected: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    def build(self, folder: Path, overrides: Mapping[str, Any], report: Report) -> None:
        """Link its files into the empty ``folder``.

        Raises:
            CheckpointError: files are missing, or contradict what is expected.
        """
        report("link", 0.0)
        if not (self.path / CONFIG).is_file():
            raise CheckpointError(f"{self.path} has no config.json; name a checkpoint's folder.")
        check_fields(self.path / CONFIG, self.expected)
        names = wanted_files([path.name for path in self.path.iterdir() if path.is_file()])
        paths = {name: (self.path / name).resolve() for name in names}
        fill_folder(folder, paths, overrides, {"folder": str(self.path.resolve())})


def fetch_pinned(
    repository: str, file: str, sha256: str, n_bytes: int, fetched: Callable[[int], None]
) -> Path:
    """Fetch one file of a repository, of which the hash is known, unless it is in the cache.

    The hub tells the hash of a file before it sends it: another file costs one question.

    Args:
        repository: ``owner/name``.
        file: its name there.
        sha256: its hash. What comes is to be checked by the caller.
        n_bytes: its size.
        fetched: called with the bytes received; may raise to stop.

    Returns:
        The file in the library's cache.

    Raises:
        DownloadError: the hub does not answer in seconds, refuses, or has another file.
    """
    cached = huggingface_hub.try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    from huggingface_hub.errors import OfflineModeIsEnabled

    with _explained(repository):
        if constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled(f"{file} is not in the cache")
        found = _hash_at_hub(repository, file)
        if found != sha256:
            raise DownloadError(
                f"{constants.ENDPOINT}/{repository} has a {file} of sha256 {found}, expected "
                f"{sha256}: the publisher changed it, or the mirror has another file"
            )
        _require_room(repository, n_bytes)
        return Path(
            huggingface_hub.hf_hub_download(repository, file, tqdm_class=_reporting_bar(fetched))
        )


def _hash_at_hub(repository: str, file: str) -> str | None:
    """Run the request on a thread, as looking up a host's name can exceed any timeout."""
    answers = list[str | Exception | None]()

    def ask() -> None:
        try:
            url = huggingface_hub.hf_hub_url(repository, file)
            answers.append(huggingface_hub.get_hf_file_metadata(url, timeout=ANSWER_SECONDS).etag)
        except Exception as error:  # raised by the thread that waits
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    answer = answers[0] if answers else TimeoutError(f"no answer in {ANSWER_SECONDS:.0f} seconds")
    if isinstance(answer, Exception):
        raise answer
    return answer


def _reporting_bar(fetched: Callable[[int], None]) -> type[tqdm]:
    """Return a silent progress bar that reports to a callback."""
    from huggingface_hub.utils import tqdm

    class Telling(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._here = int(options.get("initial") or 0)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self._here += int(n or 0)
            fetched(self._here)
            return None

    return Telling


def wanted_files(names: Sequence[str]) -> list[str]:
    """Return the names of the tokenizer's, the configuration's and one kind of weights' files.

    Raises:
        CheckpointError: there is no configuration, or there are no weights.
    """
    top = [name for name in names if "/" not in name]
    kinds = ([name for name in top if fnmatch(name, pattern)] for pattern in WEIGHTS)
    weights = next((kind for kind in kinds if kind), [])
    texts = [name for name in top if any(fnmatch(name, pattern) for pattern in TEXTS)]
    if CONFIG not in texts or not weights:
        raise CheckpointError(
            f"there is no {CONFIG if weights else 'file of weights'} among the "
            f"{len(top)} files; name a repository or folder of a Llama-shaped checkpoint."
        )
    return texts + weights


def check_fields(config: Path, expected: Mapping[str, Any]) -> None:
    """Compare a ``config.json`` with what is known of the checkpoint.

    Raises:
        CheckpointError: a field has another value; both are named.
    """
    try:
        found: dict[str, Any] = {**json.loads(config.read_text("utf-8"))}
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{config} is no configuration: {error}") from error
    for name in CHECKED if expected else ():
        is_, wanted = (_plain(name, fields) for fields in (found, expected))
        if is_ != wanted:
            raise CheckpointError(
                f"{name} is {as_json(is_)} in the checkpoint's config.json, and "
                f"{as_json(wanted)} in the catalog: this is another model, or another version of "
                "it. Pull it by its own name (owner/name), or use its folder."
            )


def fill_folder(
    folder: Path, paths: Mapping[str, Path], overrides: Mapping[str, Any], source: Mapping[str, str]
) -> None:
    """Link files into a folder; its ``config.json`` is a copy, as tools of ours write into it."""
    for name, path in paths.items():
        if name != CONFIG:
            _link(path.resolve(), folder / name)
    fields = json.loads(paths[CONFIG].read_text("utf-8")) | dict(overrides)
    for name, content in ((SOURCE_FILE, source), (CONFIG, fields)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _require_room(repository: str, missing_bytes: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    there = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if missing_bytes > free:
        raise DownloadError(
            f"{repository} has {missing_bytes / GB:.1f} GB to fetch, and the disk of {there} has"
            f" {free / GB:.1f} GB free: make room, or set HF_HOME to a larger disk."
        )


def _link(path: Path, link: Path) -> None:
    try:
        link.symlink_to(path)
    except OSError:  # Windows without the right to make links
        shutil.copyfile(path, link)


def _plain(name: str, fields: Mapping[str, Any]) -> Any:
    """Return a field in one spelling; transformers has had two for rotary scaling."""
    value = fields.get(name, _DEFAULTS.get(name))
    if name == "rope_scaling" and value is not None:
        scaling = cast("Mapping[str, Any]", value)
        return {"type": scaling.get("rope_type", scaling.get("type"))} | {
            key: part for key, part in scaling.items() if key not in ("rope_type", "type")
        }
    return list(cast("Sequence[Any]", value)) if name == "mem_layers" else value


@contextmanager
def _explained(repository: str) -> Generator[None]:
    """Say what a failed request means to the user."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage] - of the HTTP library that it uses
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    endpoint = constants.ENDPOINT
    try:
        yield
    except GatedRepoError as error:
        raise DownloadError(
            f"{endpoint}/{repository} asks for your consent: accept its licence there, then run "
            "`hf auth login`, and pull again."
        ) from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"{repository} has no such revision: {error}") from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"{endpoint} has no {repository}, or none that you may see: correct the name, or run "
            "`hf auth login`."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HTTPError, OSError) as error:
        if constants.HF_HUB_OFFLINE:
            raise DownloadError(
                f"{repository} is not whole in the cache ({constants.HF_HUB_CACHE}), and "
                "HF_HUB_OFFLINE is set: unset it, or pull from a folder (--from)."
            ) from error
        raise DownloadError(
            f"{repository} could not be fetched from {endpoint}: {error}. Check the network and "
            "HF_ENDPOINT, and pull again: files that were fetched are kept."
        ) from error
