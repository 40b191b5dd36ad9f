"""``longllama published``: run the original's evaluations on any model, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from longllama_code.commands.evaluation_trees import (
    add_lengths,
    add_places,
    add_trees,
    check_counts,
    lengths_of,
    print_progress,
    trees_of,
)
from longllama_code.errors import ConfigError
from longllama_code.research.evaluation.lengths.options import (
    ContextOptions,
    InOneInput,
    OriginalOptions,
)

USUAL_PASSKEY, USUAL_CONTEXT = OriginalOptions(), ContextOptions()


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage]
) -> None:
    """Add the command to a parser."""
    command = commands.add_parser("published", help="run the original's evaluations, and compare")
    kinds = command.add_subparsers(title="evaluations", metavar="EVALUATION", required=True)
    _add_passkey(kinds.add_parser("passkey", help="retrieve a number from one long prompt"))
    _add_perplexity(kinds.add_parser("perplexity", help="perplexity by length of context"))
    _add_harness(kinds.add_parser("lm-eval", help="tasks of lm-evaluation-harness"))


def _add_passkey(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    _add_long_input(command, USUAL_PASSKEY, "tokens of the prompt")
    _add_count(command, "--trials", USUAL_PASSKEY.trials, "prompts of each length")
    command.set_defaults(run=_run_passkey)


def _add_perplexity(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    add_trees(command)
    _add_long_input(command, USUAL_CONTEXT, "tokens of context")
    _add_count(command, "--documents", USUAL_CONTEXT.documents, "documents of each tree")
    _add_count(command, "--scored", USUAL_CONTEXT.scored, "tokens at the end of each document")
    command.set_defaults(run=_run_perplexity)


def _add_count(command: argparse.ArgumentParser, name: str, usual: int, about: str) -> None:
    command.add_argument(name, type=int, default=usual, metavar="N", help=f"{about} (%(default)s)")


def _add_harness(command: argparse.ArgumentParser) -> None:
    add_places(command, "published")
    command.add_argument(
        "--tasks", required=True, metavar="TASK,…", help="names of the harness's tasks"
    )
    command.add_argument("--few-shot", type=int, metavar="N", help="examples in the prompt")
    command.add_argument("--limit", type=int, metavar="N", help="questions of each task")
    command.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="maximum tokens of an input; above the window, it uses memory (the window)",
    )
    command.add_argument(
        "--include-path", type=Path, metavar="DIR", help="a folder with tasks of your own"
    )
    command.set_defaults(run=_run_harness)


def _add_long_input(command: argparse.ArgumentParser, usual: InOneInput, what: str) -> None:
    add_lengths(command, usual.lengths, what)
    command.add_argument(
        "--last-context",
        type=int,
        metavar="N",
        help="tokens at the end that stay local (the model's)",
    )


def _run_passkey(options: argparse.Namespace) -> int:
    check_counts(options, "trials")
    original_options = OriginalOptions(
        **_long_input(options), trials=options.trials, seed=options.seed
    )
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.lengths.original_passkey import original_passkey
    from longllama_code.research.evaluation.published.report import write_passkey

    loaded = load(options.model)
    return _show(
        write_passkey(
            loaded, original_passkey(loaded, original_options, print_progress), options.output
        )
    )


def _run_perplexity(options: argparse.Namespace) -> int:
    check_counts(options, "documents", "scored")
    counts = {"documents": options.documents, "scored": options.scored}
    context_options = ContextOptions(**_long_input(options), **counts)
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.lengths.context_perplexity import context_perplexity
    from longllama_code.research.evaluation.published.report import write_perplexity

    trees, loaded = trees_of(options), load(options.model)
    found = context_perplexity(loaded, trees, context_options, print_progress)
    return _show(write_perplexity(loaded, found, options.output))


def _run_harness(options: argparse.Namespace) -> int:
    from longllama_code.generation.models import load
    from longllama_code.research.evaluation.published.harness import (
        HarnessOptions,
        require_harness,
        run_harness,
    )
    from longllama_code.research.evaluation.published.report import write_harness

    require_harness()
    harness_options = HarnessOptions(
        tasks=tuple(dict.fromkeys(task for task in options.tasks.split(",") if task)),
        few_shot=options.few_shot,
        limit=options.limit,
        max_length=options.max_length,
        include_path=options.include_path,
        seed=options.seed,
    )
    loaded = load(options.model)
    return _show(write_harness(loaded, run_harness(loaded, harness_options), options.output))


def _show(paths: list[Path]) -> int:
    for path in paths:
        if path.suffix == ".md":
            print(path.read_text("utf-8"))
    for path in paths:
        print(path)
    return 0


def _long_input(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that both evaluations of one long input share."""
    lengths = lengths_of(options)
    if options.last_context is not None and options.last_context < 1:
        raise ConfigError(f"--last-context is {options.last_context}; give 1 or more.")
    return {"lengths": lengths, "last_context": options.last_context}
