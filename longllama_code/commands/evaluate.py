"""``longllama eval``: compare repository completion with and without memory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from longllama_code.commands.evaluation_trees import (
    add_shared,
    model_of,
    print_progress,
    suffixes_of,
    trees_of,
)
from longllama_code.commands.train import parse_heads
from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.research.evaluation.ablation import Ablation
    from longllama_code.research.evaluation.completion.repository import EvalOptions

SINGLE_CONDITIONS = "local,own,composed,oracle"
ALL_CONDITIONS = "local,own,foreign,both,composed,oracle"
MORE_CONDITIONS = "attended,copied,after-memory,after-prompt"


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "eval", help="measure completions and loss with repository memory and without"
    )
    add_shared(parser, "build/eval")
    parser.add_argument("--files", type=int, default=4, help="files held out per repository (4)")
    parser.add_argument("--lines", type=int, default=16, help="lines per class and repository (16)")
    parser.add_argument(
        "--windows", type=int, default=8, help="windows for the loss, per repository (8)"
    )
    parser.add_argument("--window-tokens", type=int, default=384)
    parser.add_argument("--memory-tokens", type=int, default=20_000)
    parser.add_argument(
        "--foreign-tokens", type=int, default=20_000, help="tokens of other repositories (20000)"
    )
    parser.add_argument(
        "--prompt-tokens",
        type=int,
        default=6000,
        help="tokens of repository text in a prompt (6000)",
    )
    parser.add_argument(
        *("--conditions", "--arms"),
        help=f"conditions to compare ({ALL_CONDITIONS}; for one repository: {SINGLE_CONDITIONS}; "
        f"further ones: {MORE_CONDITIONS})",
        metavar="NAME,…",
    )
    _add_ablations(parser.add_argument_group("variants of the model and its memory"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, write the report and return the exit code."""
    _check(options)
    from longllama_code.research.evaluation.completion.metrics import require_rapidfuzz
    from longllama_code.research.evaluation.completion.report import write
    from longllama_code.research.evaluation.completion.repository import check, evaluate
    from longllama_code.research.evaluation.plots import require_matplotlib

    require_matplotlib()
    if options.lines:
        require_rapidfuzz()
    suffixes_of(options)
    ablation = _ablation(options)
    trees = trees_of(options)
    eval_options = _eval_options(options, len(trees))
    check(trees, eval_options)
    loaded = model_of(options, ablation)
    results = evaluate(loaded, trees, eval_options, print_progress)
    paths = write(loaded, results, _plain(options, eval_options), options.output)
    print((options.output / "eval.md").read_text("utf-8"))
    for path in paths:
        print(path)
    return 0


def _add_ablations(group: Any) -> None:
    group.add_argument("--min-segment-tokens", type=int, metavar="N")
    group.add_argument("--max-segment-tokens", type=int, metavar="N")
    group.add_argument(
        "--no-header", action="store_true", help="encode segments without their file's path"
    )
    group.add_argument(
        "--store-head", action="store_true", help="also store the header before a segment"
    )
    group.add_argument(
        "--load-order",
        action="store_true",
        help="encode segments in order, each seeing those before it",
    )
    group.add_argument("--mem-top-k", type=int, metavar="N", help="keys per query; 0: all")
    group.add_argument(
        "--mem-read-keys", type=int, metavar="N", help="keys read for each token; 0: all"
    )
    group.add_argument(
        "--mem-format", metavar="NAME", help="floats, int8, int8-int5, int8-int4 or int4"
    )
    group.add_argument("--mem-dtype", metavar="TYPE", help="float32, float16 or bfloat16")
    group.add_argument(
        "--mem-layers", metavar="LAYER,…", help="memory layers, with all of their heads"
    )
    group.add_argument(
        "--mem-heads", metavar="LAYER:HEAD,…", help="memory heads instead of the model's own"
    )


def _check(options: argparse.Namespace) -> None:
    """Refuse values that would fail only after long work."""
    for name in ("files", "window_tokens", "memory_tokens", "foreign_tokens", "max_segment_tokens"):
        number = getattr(options, name)
        if number is not None and number < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {number}; give 1 or more.")
    for name in ("lines", "windows", "prompt_tokens", "mem_top_k", "mem_read_keys"):
        number = getattr(options, name)
        if number is not None and number < 0:
            raise ConfigError(f"--{name.replace('_', '-')} is {number}; give 0 or more.")
    if not options.lines and not options.windows:
        raise ConfigError("--lines and --windows are both 0; there is nothing to measure.")


def _ablation(options: argparse.Namespace) -> Ablation:
    from longllama_code.research.evaluation.ablation import Ablation

    return Ablation(
        min_segment_tokens=options.min_segment_tokens,
        max_segment_tokens=options.max_segment_tokens,
        mem_top_k=options.mem_top_k,
        mem_read_keys=options.mem_read_keys,
        mem_format=options.mem_format,
        mem_dtype=options.mem_dtype,
        mem_layers=None if options.mem_layers is None else _layers(options.mem_layers),
        mem_heads=None if options.mem_heads is None else parse_heads(options.mem_heads),
        copies=not options.no_copying,
    )


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError as error:
        raise ConfigError(f"--mem-layers is {text!r}; write LAYER,…, as in 17,18.") from error


def _eval_options(options: argparse.Namespace, n_trees: int) -> EvalOptions:
    from longllama_code.research.evaluation.completion.repository import EvalOptions
    from longllama_code.research.evaluation.encodings import Encoding

    conditions: str = options.conditions or (ALL_CONDITIONS if n_trees > 1 else SINGLE_CONDITIONS)
    return EvalOptions(
        files=options.files,
        lines=options.lines,
        windows=options.windows,
        window_tokens=options.window_tokens,
        memory_tokens=options.memory_tokens,
        foreign_tokens=options.foreign_tokens,
        prompt_tokens=options.prompt_tokens,
        conditions=tuple(dict.fromkeys(conditions.split(","))),
        seed=options.seed,
        encoding=Encoding(
            header=not options.no_header,
            store_head=options.store_head,
            load_order=options.load_order,
        ),
    )


def _plain(options: argparse.Namespace, eval_options: EvalOptions) -> dict[str, Any]:
    """Return the options as plain values, with source trees by name."""
    given = {name: value for name, value in vars(options).items() if name not in ("run", "output")}
    given["repo"] = [path.resolve().name for path in options.repo]
    return {**given, "suffix": suffixes_of(options), "conditions": list(eval_options.conditions)}
