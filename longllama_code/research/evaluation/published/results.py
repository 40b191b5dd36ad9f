"""Published results of the family, for comparison.

Sources: the FoT paper (arXiv 2307.03170), section 4.2 for the pass key and table 3 for perplexity;
the README of github.com/CStanKonrad/long_llama for the tasks of the evaluation harness.
"""

from __future__ import annotations

from collections.abc import Mapping

PASSKEY_NOTE = "LongLLaMA-3B, section 4.2 of the paper; prompts of the same form."
PASSKEY: Mapping[int, float] = {100_000: 0.945, 256_000: 0.73}
"""Share of right answers of LongLLaMA-3B, by tokens of the prompt."""

PERPLEXITY_NOTE = (
    "Table 3 of the paper: models of 184M parameters, tuned on C4, over other texts and another "
    "vocabulary. None was published for the released 3B and 7B models, so what compares is how "
    "perplexity falls with context, not how high it is."
)
CORPORA = ("GitHub", "Isabelle", "arXiv", "PG-19")
PERPLEXITY: Mapping[str, Mapping[int, tuple[float, ...]]] = {
    "FoT, 184M": {
        2_048: (6.72, 5.63, 8.17, 23.74),
        4_096: (5.88, 4.93, 7.44, 23.25),
        16_384: (5.43, 4.51, 6.94, 22.85),
        65_536: (5.32, 4.44, 6.81, 22.65),
    },
    "Transformer-XL, 184M": {2_048: (6.85, 5.76, 8.21, 23.57)},
    "Memorizing Transformer, 184M": {
        2_048: (8.10, 7.34, 9.39, 24.03),
        4_096: (7.55, 6.93, 8.95, 23.62),
        16_384: (7.27, 6.66, 8.66, 23.32),
        65_536: (7.26, 6.64, 8.60, 23.24),
    },
}
"""Perplexity on each of ``CORPORA``, by method and tokens of context."""

HARNESS_NOTE = (
    "Published: the two tables of the original README, no examples in the prompt (OpenLLaMA-3B and "
    "LongLLaMA-3B from the first; the others with BOS before each input). The harness has changed "
    "since, and some tasks have other names in it."
)
HARNESS_MODELS = (
    "open-llama-3b",
    "3b",
    "open-llama-3b-v2",
    "3b-v1.1",
    "3b-instruct",
)
HARNESS: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("anli_r1", "acc"): (0.33, 0.32, 0.33, 0.31, 0.33),
    ("anli_r2", "acc"): (0.32, 0.33, 0.35, 0.33, 0.35),
    ("anli_r3", "acc"): (0.35, 0.35, 0.38, 0.35, 0.38),
    ("arc_challenge", "acc"): (0.34, 0.34, 0.33, 0.32, 0.36),
    ("arc_challenge", "acc_norm"): (0.37, 0.37, 0.36, 0.36, 0.37),
    ("arc_easy", "acc"): (0.69, 0.68, 0.68, 0.68, 0.70),
    ("arc_easy", "acc_norm"): (0.65, 0.63, 0.63, 0.63, 0.63),
    ("boolq", "acc"): (0.68, 0.68, 0.67, 0.66, 0.77),
    ("hellaswag", "acc"): (0.49, 0.48, 0.53, 0.52, 0.52),
    ("hellaswag", "acc_norm"): (0.67, 0.65, 0.70, 0.69, 0.68),
    ("openbookqa", "acc"): (0.27, 0.28, 0.28, 0.28, 0.28),
    ("openbookqa", "acc_norm"): (0.40, 0.38, 0.39, 0.37, 0.41),
    ("piqa", "acc"): (0.75, 0.73, 0.77, 0.77, 0.78),
    ("piqa", "acc_norm"): (0.76, 0.75, 0.78, 0.77, 0.77),
    ("record", "em"): (0.88, 0.87, 0.87, 0.86, 0.85),
    ("record", "f1"): (0.89, 0.87, 0.88, 0.87, 0.86),
    ("rte", "acc"): (0.58, 0.60, 0.53, 0.62, 0.70),
    ("truthfulqa_mc1", "acc"): (0.22, 0.24, 0.22, 0.21, 0.25),
    ("truthfulqa_mc2", "acc"): (0.35, 0.38, 0.35, 0.35, 0.40),
    ("wic", "acc"): (0.48, 0.50, 0.50, 0.50, 0.54),
    ("winogrande", "acc"): (0.62, 0.60, 0.66, 0.63, 0.65),
}
"""Result of each of ``HARNESS_MODELS``, by task and metric of the harness."""
