"""Whether code was public before or after a model was trained on public code.

Up to two days are known of a model: until which its authors say that its code was collected, and
after which nothing can have been added. Code that was public by the first may have been seen, code
that became public after the second was not, and between them nobody can tell.

Only the day counts when the code became public. It does not tell whether a model has seen the code
(collections are filtered, and leave out most of it), whether the same code was public earlier under
another name, or whether other data, such as web pages, showed it. A data set that knows a day
"at the latest" does not exclude an earlier one, so ``after`` is as certain as its day.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

Publication = Literal["before", "after", "unknown"]


@dataclass(frozen=True)
class TrainingData:
    """What is known of the days of a model's training data."""

    code_until: date | None
    """Day until which its code was collected, as its authors say; None if they do not."""
    nothing_after: date | None
    """Day after which nothing was added: the end of its training, or its publication; None if
    unknown."""
    source: str
    """Where these days are from."""


UNKNOWN = TrainingData(None, None, "nothing is known of this model's training data")
_QWEN = TrainingData(
    date(2024, 1, 31),
    date(2024, 11, 13),
    "Qwen2.5-Coder Technical Report, arXiv 2409.12186, section on pre-training data: public "
    "repositories of GitHub created before February 2024 (the days of other data are not said); "
    "its third version, with all six sizes, is of 2024-11-13",
)
_CODE_LLAMA = TrainingData(
    None,
    date(2023, 7, 31),
    "model card of Code Llama: trained between January and July 2023; until when its code was "
    "collected is not said",
)
_MINI = TrainingData(
    date(2023, 9, 6),
    None,
    "SmolLM2, arXiv 2502.02737: code is Stack-Edu, a part of StarCoder2's data, which is of the "
    "Software Heritage graph of 2023-09-06 (arXiv 2402.19173); mini was tuned on later releases of "
    "the packages in training_packages.json",
)
_SMOLLM2 = TrainingData(
    _MINI.code_until, date(2024, 11, 1), f"{_MINI.source}; SmolLM2 was published by 2024-11-01"
)
_OPEN_LLAMA = TrainingData(
    None,
    date(2023, 7, 15),
    "README of github.com/openlm-research/open_llama: published on 2023-06-07 (3B, on RedPajama, "
    "which does not say until when its code was collected) and 2023-07-15 (3Bv2)",
)
_LONG_LLAMA = TrainingData(
    None, None, "README of github.com/CStanKonrad/long_llama, which gives no days of its data"
)
_BY_NAME: Sequence[tuple[str, TrainingData]] = (
    (r"qwen2\.5-coder|coder(-0\.5b|-1\.5b)?$", _QWEN),
    (r"mini$", _MINI),
    (r"smollm2", _SMOLLM2),
    (r"long_llama|code-7b(-instruct)?$|3b(-v1\.1|-instruct)?$", _LONG_LLAMA),
    (r"code-?llama", _CODE_LLAMA),
    (r"open[-_]llama", _OPEN_LLAMA),
)
"""Training data by what the last part of a model's name begins with."""


def training_data(model: str) -> TrainingData:
    """Return what is known of a model's training data, by its name or the name of its file.

    A model that somebody else tuned on code of their own, and named alike, is not told apart.

    Args:
        model: name of the catalog or the hub, or path, maybe with ``:int8`` or ``:int4``.
    """
    name = re.split(r"[/\\]", model.lower())[-1].partition(":")[0].partition("@")[0]
    return next((data for pattern, data in _BY_NAME if re.match(pattern, name)), UNKNOWN)


def publication(since: date | None, data: TrainingData) -> Publication:
    """Return whether code was public before or after a model's training.

    Args:
        since: day since when the code has been public; None if unknown.
        data: what is known of the model.
    """
    if since is not None and data.code_until is not None and since <= data.code_until:
        return "before"
    if since is not None and data.nothing_after is not None and since > data.nothing_after:
        return "after"
    return "unknown"
