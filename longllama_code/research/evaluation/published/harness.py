"""EleutherAI's lm-evaluation-harness over a model, through its transformers interface.

The harness finds ``LongLlamaForCausalLM`` without code of the checkpoint, as importing this
package registers it; so do models in 8 or 4 bits, and ``tiny``. Inputs are run one at a time: a
batch would pad them, which moves the border between memory and local context.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tokenizers
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from longllama_code.errors import CheckpointError, ConfigError
from longllama_code.generation.models import LoadedModel
from longllama_code.model_sources.catalog import model_dir
from longllama_code.tokenizers.sentencepiece import SentencePieceTokenizer
from longllama_code.tokenizers.tokenizer import BYTE_NAMES, ByteTokenizer


@dataclass(frozen=True)
class HarnessOptions:
    """Options of the harness."""

    tasks: tuple[str, ...]
    few_shot: int | None = None
    """Examples in the prompt; None uses each task's number."""
    limit: int | None = None
    """Questions of each task; None means all."""
    max_length: int | None = None
    """Maximum length of an input in tokens; None means the window. Longer inputs use memory."""
    include_path: Path | None = None
    """Folder with further tasks."""
    seed: int = 0


@dataclass(frozen=True)
class HarnessRow:
    """One figure of one task."""

    task: str
    metric: str
    filter: str
    """Filter that extracted the answers; ``none`` without one."""
    value: float
    error: float | None
    """Standard error over the questions, if the harness gives one."""


@dataclass(frozen=True)
class HarnessResult:
    """All figures."""

    options: HarnessOptions
    version: str
    """Version of the harness."""
    rows: list[HarnessRow]


def require_harness() -> Any:
    """Return the harness.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("lm_eval")
    except ImportError as error:
        raise ConfigError(
            "lm-evaluation-harness is not installed: run `pip install '.[lm-eval]'`."
        ) from error


def run_harness(loaded: LoadedModel, options: HarnessOptions) -> HarnessResult:
    """Run tasks of the harness; their data come from where the harness takes them.

    Raises:
        ConfigError: the harness is not installed, or knows no such task.
    """
    harness = require_harness()
    adapter = importlib.import_module("lm_eval.models.huggingface").HFLM(
        pretrained=loaded.model,
        tokenizer=transformers_tokenizer(loaded),
        batch_size=1,
        max_length=options.max_length or loaded.model.config.window,
        add_bos_token=True,  # as published; empty if the vocabulary has no such token
    )
    folder = None if options.include_path is None else str(options.include_path)
    manager = importlib.import_module("lm_eval.tasks").TaskManager(include_path=folder)
    unknown = [task for task in options.tasks if task not in manager.all_tasks]
    if unknown:
        raise ConfigError(
            f"the harness knows no task {', '.join(unknown)}; `lm_eval ls tasks` lists them, and "
            "--include-path names a folder with others."
        )
    raw: Mapping[str, Any] = harness.simple_evaluate(
        adapter,
        tasks=list(options.tasks),
        num_fewshot=options.few_shot,
        limit=options.limit,
        task_manager=manager,
        log_samples=False,
        random_seed=options.seed,
        numpy_random_seed=options.seed,
        torch_random_seed=options.seed,
        fewshot_random_seed=options.seed,
    )
    return HarnessResult(options, str(harness.__version__), list(rows_of(raw["results"])))


def rows_of(results: Mapping[str, Mapping[str, Any]]) -> Iterator[HarnessRow]:
    """Yield the figures in the harness's results: task → ``metric,filter`` → value."""
    for task, figures in results.items():
        for name, value in figures.items():
            metric, comma, filter_name = name.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            error = figures.get(f"{metric}_stderr,{filter_name}")
            known = float(error) if isinstance(error, (int, float)) else None
            yield HarnessRow(task, metric, filter_name, float(value), known)


def transformers_tokenizer(loaded: LoadedModel) -> Any:
    """Return our tokenizer as one of transformers, which adds BOS, if any, before a text.

    Raises:
        CheckpointError: the files of the tokenizer cannot be read.
    """
    ours = loaded.tokenizer
    if isinstance(ours, ByteTokenizer):
        return _fast(_bytes_backend(), ours.bos_id, ours.eos_id)
    folder = model_dir(loaded.name)
    try:
        if isinstance(ours, SentencePieceTokenizer):
            return LlamaTokenizer.from_pretrained(folder)
        backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise CheckpointError(f"no tokenizer can be read from {folder}: {error}") from error
    return _fast(backend, ours.bos_id, ours.eos_id)


def _fast(backend: tokenizers.Tokenizer, bos_id: int | None, eos_id: int) -> Any:
    names = {"eos_token": backend.id_to_token(eos_id)}
    if bos_id is not None:
        names["bos_token"] = bos = backend.id_to_token(bos_id)
        cast("Any", backend).post_processor = TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, bos_id)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def _bytes_backend() -> tokenizers.Tokenizer:
    """Return ``ByteTokenizer`` as a tokenizer of the Rust library."""
    vocab = {name: byte for byte, name in enumerate(BYTE_NAMES)}
    backend = cast("Any", tokenizers.Tokenizer(BPE(vocab=vocab, merges=[])))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = ByteLevelDecoder()
    backend.add_special_tokens(["<s>", "</s>"])
    return backend
