"""Whether a definition would give an answer away, and which repositories are never trained on."""

from __future__ import annotations

import re

from longllama_code.definitions.cursor_text import NAME
from longllama_code.errors import ConfigError
from longllama_code.research.datasets.packages import load_packages

MIN_ANSWER_CHARS = 12
"""Shorter answers stand in many texts by chance."""
IDENTIFIER = re.compile(rf"{NAME}\Z")
BLANKS = re.compile(r"\s+")
SEPARATORS = re.compile(r"[-_.]+")
BENCHMARK_REPOSITORIES = frozenset(
    (
        *("BrainChulo", "Spoolman", "Class-Based-Influence-Functions", "zxlive", "frogmouth"),
        *("nlpeer", "UP4ROS", "appsignal-python", "configzen", "chatgpt-memory", "cosmos20000"),
        *("adept", "whatsapp", "kplugins", "mipnerf360-pytorch", "SemTerm", "ProtoRL", "MFGLib"),
        *("cvevals", "DiffusionNER", "tfold-release", "langchain-testbench"),
        "RSMT-Realtime-Stylized-Motion-Transition",
    )
)
"""Repositories of CrossCodeEval (Python, the half that is for developers)."""


def gives_away(definition: str, answer: str) -> bool:
    """Whether a definition contains an answer that is more than a name.

    A definition is there to give names, but not to hold the very text that is to be written.
    """
    sought = BLANKS.sub(" ", answer.strip())
    if len(sought) < MIN_ANSWER_CHARS or IDENTIFIER.match(sought):
        return False
    return sought in BLANKS.sub(" ", definition)


def check_trainable(name: str) -> None:
    """Refuse a repository that evaluations or benchmarks are made of.

    Raises:
        ConfigError: it is one of them.
    """
    evaluated = {each.name for each in load_packages("evaluation")} | BENCHMARK_REPOSITORIES
    if _plain(name) in map(_plain, evaluated):
        raise ConfigError(
            f"{name} is a repository that models are evaluated on; leave it out, or what it "
            "measures afterwards is worth nothing."
        )


def _plain(name: str) -> str:
    return SEPARATORS.sub("-", name).lower()
