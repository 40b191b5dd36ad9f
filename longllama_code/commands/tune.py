"""``longllama tune``: tune a code model for definitions as memory, from packed shards."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longllama_code.commands.changes import changed
from longllama_code.errors import ConfigError

if TYPE_CHECKING:
    from longllama_code.generation.models import LoadedModel
    from longllama_code.research.tuning.loop import Progress
    from longllama_code.research.tuning.options import TuneOptions


def add(commands: Any) -> None:
    """Register the command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tune", help="tune a code model for definitions as memory (FoT, low-rank updates)"
    )
    parser.add_argument("output", type=Path, help="folder of the run; an existing one resumes")
    parser.add_argument("shards", type=Path, nargs="+", help="folders that `longllama shards` made")
    add_model(parser)
    parser.add_argument("--preset", help="cpu or gpu; that of the device by default")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="replace an option of the preset, such as learning_rate=1e-4",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="stop after N more steps")
    parser.set_defaults(run=run)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options for the model and its device."""
    parser.add_argument(
        "--model", default="coder-0.5b", help="name, GGUF file or folder (%(default)s)"
    )
    parser.add_argument(
        "--device", default="auto", help="device of torch; a GPU if there is one (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Tune, or go on; the exit code."""
    from tqdm import tqdm

    from longllama_code.research.cursor_rows.collection import read_all_shards
    from longllama_code.research.tuning.adapter import base_of
    from longllama_code.research.tuning.loop import tune

    device = device_of(options.device)
    chosen = choose_options(options.preset, device, options.set)
    collected = read_all_shards(options.shards)
    loaded, base = load_to_tune(options.model, device), base_of(options.model)
    with tqdm(total=chosen.total_tokens, unit="tok", unit_scale=True) as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix(loss=f"{progress.loss:.3f}")
            bar.update(progress.tokens - bar.n)

        path = tune(loaded, collected, base, chosen, options.output, show, options.steps)
    _report(options.output)
    print(f"the updates are in {path}")
    return 0


def choose_options(preset: str | None, device: str, changes: list[str]) -> TuneOptions:
    """Return a preset with some options replaced; values are JSON.

    Raises:
        ConfigError: the preset or an option is unknown, or a value is of another type.
    """
    from longllama_code.research.tuning.options import PRESETS

    name = preset or ("cpu" if device == "cpu" else "gpu")
    if name not in PRESETS:
        raise ConfigError(f"preset is {name!r}; choose one of {', '.join(PRESETS)}.")
    return changed(PRESETS[name], changes)


def device_of(name: str) -> str:
    """Return the device to run on: a GPU if there is one and none is named."""
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_to_tune(model: str, device: str) -> LoadedModel:
    """Return a model as torch runs it, in bfloat16 where the device computes in it.

    Raises:
        ModelNotFound: there is no model of that name or path.
        CheckpointError: it cannot be read.
    """
    import torch

    from longllama_code.generation.models import load, usual_dtype

    dtype = usual_dtype(device)
    if torch.device(device).type == "cpu" and _cpu_has_bfloat16(torch.cpu.get_capabilities()):
        dtype = torch.bfloat16
    return load(model, device, dtype)


def _cpu_has_bfloat16(capabilities: Mapping[str, Any]) -> bool:
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _report(folder: Path) -> None:
    """Draw the curves of a run, and print its first and last held-out losses."""
    from longllama_code.research.evaluation.plots import curves
    from longllama_code.research.run_folder import LOSSES, METRICS, read_records
    from longllama_code.research.tuning.inputs import MODES

    steps, losses = read_records(folder / METRICS), read_records(folder / LOSSES)
    series = {
        name: [(each["tokens"], each[name]) for each in steps if each[name] is not None]
        for name in MODES
    }
    held_out = [(each["tokens"], each["memory"]) for each in losses]
    series = {**series, "held out, memory": held_out}
    drawn = {name: points for name, points in series.items() if points}
    if drawn:
        curves(drawn, "Tuning", "tokens", "nats/token", folder / "curves")
    for each in losses[:1] + losses[1:][-1:]:
        shown = ", ".join(f"{mode} {each[mode]:.3f}" for mode in MODES if mode in each)
        print(f"held-out loss after {each['tokens']:,} tokens, nats/token: {shown}")
