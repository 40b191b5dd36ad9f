"""A suggestion, with what the server says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MIN_MASS = 0.1
"""Least share of what was copied for lines to be named."""


@dataclass(frozen=True)
class Answer:
    """A suggestion and its explanation, as ``longllama/explain`` has it."""

    text: str
    seconds: float
    """Time from the last key to the suggestion."""
    explained: Json

    @property
    def reason(self) -> str:
        """Reason code for the missing suggestion."""
        return str(self.explained.get("reason"))

    @property
    def times(self) -> str:
        """Time that the answer took, and what it was spent on."""
        timings = self.explained.get("timings")
        if timings is None:
            return f"{self.seconds:.1f} s"
        n_read = timings["prompt_tokens"] - timings["reused_tokens"]
        return (
            f"{self.seconds:.1f} s ({n_read} tokens read in {timings['prefill_ms'] / 1000:.1f} s, "
            f"{timings['generated_tokens']} written in {timings['decode_ms'] / 1000:.1f} s)"
        )

    @property
    def sources(self) -> list[str]:
        """Lines of other files: definitions that it names, then lines that it copied from."""
        shown: list[Json] = self.explained.get("definitions") or []
        named = [
            f"{each['path']}:{each['first_line']}  {each['name']}"
            for each in shown
            if each["is_named"]
        ]
        used: list[Json] = self.explained.get("sources") or []
        copied = [
            f"{each['path']}:{each['first_line']}-{each['last_line']}  "
            f"{100 * each['mass']:.0f} % of what it copied"
            for each in used
            if each["mass"] >= MIN_MASS
        ]
        return [*named, *copied]
