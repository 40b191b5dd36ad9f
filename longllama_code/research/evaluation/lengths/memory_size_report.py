"""Report of loss by size of memory: JSON, Markdown and curves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from longllama_code.generation.models import LoadedModel
from longllama_code.research.evaluation.lengths.memory_size import SizeResult
from longllama_code.research.evaluation.probe.head_choice import Change
from longllama_code.research.evaluation.report_files import memory_identity, write_json

FORMAT = 1
NOTE = (
    "Change of loss against the same windows without memory, nats per token; below 0, memory "
    "helps. The error is the standard error over windows; windows of one repository are alike, so "
    "it is rather too small. Memory holds the repository's own files first, then other "
    "repositories' as distractors."
)


def write_report(loaded: LoadedModel, result: SizeResult, folder: Path) -> list[Path]:
    """Write ``sizes.json``, ``sizes.md``, ``sizes.png`` and ``sizes.svg``.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    from longllama_code.research.evaluation.plots import curves

    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / "sizes.json", folder / "sizes.md"
    write_json(data, as_json(loaded, result))
    text.write_text(as_markdown(loaded.name, result), "utf-8")
    drawn = curves(
        _series(result),
        "Loss against the size of memory",
        "tokens of memory",
        "change of loss (nats per token)",
        folder / "sizes",
        log_x=False,
    )
    return [data, text, *drawn]


def as_json(loaded: LoadedModel, result: SizeResult) -> dict[str, Any]:
    """Return the result in plain values, the change of every window among them."""
    return {
        "format": FORMAT,
        "note": NOTE,
        "model": memory_identity(loaded),
        "options": asdict(result.options),
        "unreached_lengths": result.unreached,
        "local_loss": result.local_loss,
        "curve": [
            {
                "length": length,
                "own_share": result.own_share(length),
                **asdict(result.change(length)),
            }
            for length in result.lengths()
        ],
        "measured": [asdict(one) for one in result.measured],
    }


def as_markdown(model: str, result: SizeResult) -> str:
    """Return the result as tables: all repositories, then each."""
    lengths, names = result.lengths(), list(result.local_loss)
    n_windows = sum(len(losses) for losses in result.local_loss.values())
    lines = [
        f"# Loss against the size of memory: {model}\n",
        f"{NOTE}\n",
        f"{n_windows} windows of {result.options.window_tokens} tokens, {len(names)} "
        "repositories.\n",
        "| tokens of memory | own share | change |",
        "|---:|---:|---:|",
    ]
    for length in lengths:
        shown = _show(result.change(length))
        share = f"{result.own_share(length):.0%}" if length else "–"
        lines.append(f"| {length:,} | {share} | {shown} |")
    lines += [
        "",
        f"| repository | {' | '.join(f'{length:,}' for length in lengths)} |",
        f"|---|{'---:|' * len(lengths)}",
    ]
    for name in names:
        cells = (_show(result.change(length, name)) for length in lengths)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if result.unreached:
        missing = ", ".join(f"{length:,}" for length in result.unreached)
        lines.append(f"\nNot reached by every repository: {missing} tokens.")
    return "\n".join(lines) + "\n"


def _series(result: SizeResult) -> dict[str, list[tuple[float, float]]]:
    series = {"all": [(float(n), result.change(n).mean) for n in result.lengths()]}
    if len(result.local_loss) > 1:
        for name in result.local_loss:
            series[name] = [(float(n), result.change(n, name).mean) for n in result.lengths()]
    return series


def _show(change: Change) -> str:
    error = "" if change.error is None else f" ± {change.error:.4f}"
    return f"{change.mean:+.4f}{error}"
