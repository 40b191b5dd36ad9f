"""``longllama published``: the evaluations of the original, on any model, beside its numbers."""

from __future__ import annotations

import argparse
from pathlib import Path

from longllama_code.commands.evaluation_trees import (
    add_places,
    add_trees,
    check_counts,
    say,
    trees_of,
)
from longllama_code.errors import ConfigError

PASSKEY_LENGTHS = (4_000, 16_000, 64_000, 100_000, 256_000)
CONTEXTS = (2_048, 4_096, 8_192, 16_384, 32_768, 65_536)


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser(
        "published", help="measure what the original published, beside its numbers"
    )
    kinds = command.add_subparsers(title="evaluations", metavar="EVALUATION", required=True)
    _add_passkey(kinds.add_parser("passkey", help="a number in one long prompt, through memory"))
    _add_perplexity(kinds.add_parser("perplexity", help="perplexity after more and more context"))
    _add_harness(kinds.add_parser("lm-eval", help="tasks of lm-evaluation-harness"))


def _add_passkey(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    _add_lengths(command, PASSKEY_LENGTHS, "tokens of the prompt")
    command.add_argument("--trials", type=int, default=5, metavar="N", help="of each (%(default)s)")
    command.set_defaults(run=_run_passkey)


def _add_perplexity(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    add_trees(command)
    _add_lengths(command, CONTEXTS, "tokens of context")
    command.add_argument(
        "--documents", type=int, default=1, metavar="N", help="of each tree (%(default)s)"
    )
    command.add_argument(
        "--scored",
        type=int,
        default=512,
        metavar="N",
        help="tokens at the end of each document (%(default)s)",
    )
    command.set_defaults(run=_run_perplexity)


def _add_harness(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    command.add_argument(
        "--tasks", required=True, metavar="TASK,…", help="as the harness names them"
    )
    command.add_argument("--few-shot", type=int, metavar="N", help="examples in the prompt")
    command.add_argument("--limit", type=int, metavar="N", help="questions of each task")
    command.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="most tokens of an input; beyond the window they go through memory (the window)",
    )
    command.add_argument(
        "--include-path", type=Path, metavar="DIR", help="a folder with tasks of your own"
    )
    command.set_defaults(run=_run_harness)


def _add_lengths(command: argparse.ArgumentParser, lengths: tuple[int, ...], what: str) -> None:
    command.add_argument("--lengths", type=int, nargs="+", default=lengths, metavar="N", help=what)
    command.add_argument(
        "--last-context",
        type=int,
        metavar="N",
        help="tokens at the end that are no memory (as the model has it)",
    )


def _run_passkey(options: argparse.Namespace) -> int:
    check_counts(options, "trials")
    _check_lengths(options)
    from longllama_code.evaluation.original_passkey import OriginalOptions, original_passkey
    from longllama_code.evaluation.published_report import write_passkey
    from longllama_code.generation.models import load

    loaded = load(options.model)
    asked = OriginalOptions(_lengths(options), options.trials, options.last_context, options.seed)
    return _show(write_passkey(loaded, original_passkey(loaded, asked, say), options.output))


def _run_perplexity(options: argparse.Namespace) -> int:
    check_counts(options, "documents", "scored")
    _check_lengths(options)
    from longllama_code.evaluation.context_perplexity import ContextOptions, context_perplexity
    from longllama_code.evaluation.published_report import write_perplexity
    from longllama_code.generation.models import load

    trees, loaded = trees_of(options), load(options.model)
    asked = ContextOptions(
        _lengths(options), options.documents, options.scored, options.last_context
    )
    found = context_perplexity(loaded, trees, asked, say)
    return _show(write_perplexity(loaded, found, options.output))


def _run_harness(options: argparse.Namespace) -> int:
    from longllama_code.evaluation.harness import HarnessOptions, require_harness, run_harness
    from longllama_code.evaluation.published_report import write_harness
    from longllama_code.generation.models import load

    require_harness()
    asked = HarnessOptions(
        tasks=tuple(dict.fromkeys(task for task in options.tasks.split(",") if task)),
        few_shot=options.few_shot,
        limit=options.limit,
        max_length=options.max_length,
        include_path=options.include_path,
        seed=options.seed,
    )
    loaded = load(options.model)
    return _show(write_harness(loaded, run_harness(loaded, asked), options.output))


def _show(paths: list[Path]) -> int:
    for path in paths:
        if path.suffix == ".md":
            print(path.read_text("utf-8"))
    for path in paths:
        print(path)
    return 0


def _lengths(options: argparse.Namespace) -> tuple[int, ...]:
    return tuple(sorted(set(options.lengths)))


def _check_lengths(options: argparse.Namespace) -> None:
    for length in options.lengths:
        if length < 1:
            raise ConfigError(f"--lengths has {length}; give 1 or more.")
    if options.last_context is not None and options.last_context < 1:
        raise ConfigError(f"--last-context is {options.last_context}; give 1 or more.")
