"""Cells of tables, and the description of a run."""

from collections.abc import Mapping
from typing import Any


def times_cell(value: Mapping[str, float] | None) -> str:
    """Return median and 95th percentile of seconds; empty if nothing was measured."""
    return f"{value['median']:.2f}, {value['p95']:.2f}" if value else ""


def about(summary: Mapping[str, Any]) -> str:
    """Return the list of what a run depends on: model, code, machine, settings."""
    machine = summary["machine"]
    weights = f", sha256 {summary['weights_sha256']}" if summary["weights_sha256"] else ""
    lines = [
        f"- model: {', '.join(summary['engines']) or summary['model']}{weights}",
        f"- code: {', '.join(summary['commits'])}",
        f"- machine: {machine['cpu']}, {machine['cores']} cores ({' '.join(machine['flags'])}), "
        f"{machine['memory_gb']} GB; load {machine['load']} at the end",
        f"- settings: `{summary['settings']}`",
    ]
    return "\n".join(lines)
