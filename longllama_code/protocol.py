"""What is asked of the engine and what it answers: plain values, ready for JSON.

Nothing here needs torch, so that both sides of the process border can share it.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

StopReason = Literal[
    "line",
    "block",
    "end_of_text",
    "max_tokens",
    "deadline",
    "repeats_suffix",
    "repeats_itself",
    "fence",
    "unsure",
]
OnProgress = Callable[[str], None]
"""Callback that receives the text of a suggestion as it grows."""
EmptyReason = Literal["nothing_to_add", "deadline", "unsure"]


def ignore_progress(_: str) -> None:
    """Ignore the text so far; for callers that wait for the whole suggestion."""


@dataclass(frozen=True)
class CompletionRequest:
    """A cursor in a text."""

    path: str
    """The file, as it was given to ``remember``."""
    prefix: str
    """The text before the cursor."""
    suffix: str
    """The text after it."""
    max_tokens: int = 48
    _: KW_ONLY
    multiline: bool = True
    """Whether a block may be suggested where the cursor's line is blank."""
    timeout_ms: int = 10_000
    """After so long, what is there is answered."""
    uses_memory: bool = True
    """False leaves repository memory out: for comparisons."""
    min_confidence: float | None = 0.0
    """Probability of any token below which neither it nor its line is written, 0 to 1; None: what
    was found best for the model."""
    n_candidates: int = 1
    """Suggestions wanted, each with another first token."""
    repository: str = ""
    """The repository's name, for models that were taught to be told; empty, it is not."""
    definition_tokens: int = 768
    """Most tokens of definitions from other files that the model is shown; 0: none."""
    is_ahead: bool = False
    """Whether nobody waits for the answer, so that there is time to read other definitions."""


@dataclass(frozen=True)
class Source:
    """Lines of a file that a suggestion drew on; they count from 1, inclusive."""

    path: str
    first_line: int
    last_line: int
    mass: float
    """Share of what was drawn from memory, by attention and by copying, 0 to 1."""


@dataclass(frozen=True)
class ShownDefinition:
    """A definition of another file that the model was shown before it wrote."""

    path: str
    name: str
    """With the class that it is a member of, and a dot between them."""
    first_line: int
    """From 1."""
    last_line: int
    """Inclusive."""
    reason: str
    """Why it was chosen, in plain words."""
    n_tokens: int
    """Of what the model was shown of it."""
    is_named: bool = False
    """Whether the suggestion names it."""


@dataclass(frozen=True)
class Timings:
    """Where the time of one completion went."""

    prefill_ms: float = 0.0
    """Until the first token was to be chosen."""
    decode_ms: float = 0.0
    reused_tokens: int = 0
    """Prompt tokens whose keys and values an earlier request left behind."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    passes: int = 0
    """Forward passes that these took; fewer than tokens where drafts were right."""
    memory_tokens: int = 0


@dataclass(frozen=True)
class CompletionResult:
    """A suggestion, to be inserted at the cursor."""

    text: str
    stop_reason: StopReason
    timings: Timings
    sources: list[Source] = field(default_factory=list[Source])
    empty_reason: EmptyReason | None = None
    confidence: float = 0.0
    """Probability of the first token, of those that agree with the word at the cursor, 0 to 1."""
    mean_probability: float = 0.0
    """Geometric mean of its tokens' probabilities, 0 to 1."""
    least_probability: float = 0.0
    """Probability of the token that was least expected, 0 to 1."""
    alternatives: list[str] = field(default_factory=list[str])
    """Other suggestions, the likelier first tokens first."""
    definitions: list[ShownDefinition] = field(default_factory=list[ShownDefinition])
    """What of other files it was shown, in this order."""
    first_line: int = 0
    """Of the file's own lines that it was shown, from 1."""
    last_line: int = 0


@dataclass(frozen=True)
class RememberResult:
    """What remembering one file took."""

    path: str
    n_tokens: int
    n_segments: int
    n_encoded: int
    """Segments that had to be encoded."""
    n_loaded: int
    """Segments read from the store on disk."""
    n_kept: int
    """Segments that were in memory already."""


@dataclass(frozen=True)
class EngineUser:
    """Who shares an engine: one editor window, with a repository of its own in memory."""

    name: str
    """As it called itself."""
    n_files: int
    n_tokens: int
    is_asking: bool
    """Whether this is who asks for the status."""


@dataclass(frozen=True)
class EngineStatus:
    """The engine at one moment."""

    model: str
    device: str
    dtype: str
    n_files: int
    n_segments: int
    n_tokens: int
    memory_bytes: int
    stored_segments: int
    stored_bytes: int
    encoded_segments: int
    """Segments encoded since the start."""
    loaded_segments: int
    """Segments read from disk since the start."""
    damaged_segments: int
    """Stored segments found damaged, and encoded again."""
    store_problem: str | None
    """Why nothing is kept on disk, where that is so."""
    token_bytes: int = 0
    """Of the record of one token in memory."""
    compiled: bool = False
    """Whether the model's layers are compiled by torch."""
    not_compiled: str | None = None
    """Why they are not, where that was asked for."""
    users: list[EngineUser] = field(default_factory=list[EngineUser])
    """Everybody whose repository it holds; the counts above are those of who asks."""
