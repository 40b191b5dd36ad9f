"""Requests to the engine and its answers: plain values, ready for JSON.

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
    "unknown_name",
]
OnProgress = Callable[[str], None]
"""Callback that receives the text of a suggestion as it grows."""
EmptyReason = Literal["nothing_to_add", "deadline", "unsure", "unknown_name"]
RepositoryContext = Literal["definitions", "memory", "similar"]
"""What a code model sees of other files: definitions that the cursor needs, in its prompt or as
memory, or chunks that are similar to the text before it."""


def ignore_progress(_: str) -> None:
    """Ignore the text so far; for callers that wait for the whole suggestion."""


@dataclass(frozen=True)
class RecentEdit:
    """Lines of a file that were replaced by others a short while ago."""

    path: str
    """Path of the file, as passed to ``remember``."""
    before: str
    """Whole lines as they were, without the last one's end; empty if lines were added alone."""
    after: str
    """Whole lines that stand in their place; empty if lines were removed alone."""
    line: int
    """First of these lines now, from 1."""


@dataclass(frozen=True)
class CompletionRequest:
    """Request for a suggestion at a cursor."""

    path: str
    """Path of the file, as passed to ``remember``."""
    prefix: str
    """Text before the cursor."""
    suffix: str
    """Text after the cursor."""
    max_tokens: int = 48
    _: KW_ONLY
    multiline: bool = True
    """Whether a block of several lines may be suggested on a blank line."""
    timeout_ms: int = 10_000
    """Time after which the text generated so far is the answer, if somebody waits for it."""
    uses_memory: bool = True
    """Whether memory is used; False is for comparisons."""
    min_confidence: float | None = 0.0
    """Least probability that all of the suggestion is right, 0 to 1; above 0, it ends where that is
    most worth showing. None: the model's own."""
    min_confidence_floor: float = 0.0
    """Lower limit of that probability, also of the model's own."""
    n_candidates: int = 1
    """Number of suggestions, each with another first token."""
    repository: str = ""
    """Repository's name, for models that are trained with it in the prompt; empty: left out."""
    definition_tokens: int = 768
    """Maximum number of tokens of other files in the prompt; 0: none."""
    cursor_definition_tokens: int | None = None
    """Maximum number of them that only this cursor needs; None: as many as are left."""
    repository_context: RepositoryContext = "definitions"
    """What these tokens show."""
    local_tokens: int = 0
    """Most tokens of the file itself on either side of the cursor; 0: as many as the model sees."""
    short_after_ms: int | None = None
    """Time that processing the whole prompt may take; where it is expected to take longer, the
    answer is written from a short one. None: no limit."""
    is_ahead: bool = False
    """Whether the request is made in advance, so that there is time to read other excerpts."""
    writing_ms: int | None = None
    """Time since the first token after which a text of several lines ends with a whole line."""
    recent_edits: tuple[RecentEdit, ...] = ()
    """Edits that a code model is shown beside definitions, the newest last."""
    existing_names: bool = False
    """Whether names that a module or class of the repository lacks are replaced by some of its
    own, or else not suggested."""


@dataclass(frozen=True)
class Source:
    """Lines of a file in memory that a suggestion used; from 1, inclusive."""

    path: str
    first_line: int
    last_line: int
    mass: float
    """Share of all use of memory, by attention and by copying, 0 to 1."""


@dataclass(frozen=True)
class ShownDefinition:
    """Definition from another file, or chunk of one, in the model's prompt."""

    path: str
    name: str
    """Qualified name: for a member, its class comes first, with a dot between them. The name of a
    chunk is its lines."""
    first_line: int
    """First line in its file, from 1."""
    last_line: int
    """Last line, inclusive."""
    reason: str
    """Why it was chosen, for the user."""
    n_tokens: int
    """Number of its tokens in the prompt."""
    is_named: bool = False
    """Whether the suggestion uses its name."""
    share: float | None = None
    """Share of its tokens in the attention of all heads and layers to the prompt and to what is
    placed before it, 0 to 1; None if it was not measured."""


@dataclass(frozen=True)
class Timings:
    """Times and counts of one completion."""

    prefill_ms: float = 0.0
    """Time until the first token could be chosen."""
    decode_ms: float = 0.0
    reused_tokens: int = 0
    """Prompt tokens whose keys and values were cached by an earlier request."""
    prompt_tokens: int = 0
    generated_tokens: int = 0
    passes: int = 0
    """Forward passes for the generated tokens; fewer than these if drafts were accepted."""
    memory_tokens: int = 0


@dataclass(frozen=True)
class CompletionResult:
    """Suggestion to insert at the cursor."""

    text: str
    stop_reason: StopReason
    timings: Timings
    sources: list[Source] = field(default_factory=list[Source])
    empty_reason: EmptyReason | None = None
    confidence: float = 0.0
    """Probability of the first token among those that continue the word at the cursor, 0 to 1."""
    mean_probability: float = 0.0
    """Geometric mean of the tokens' probabilities, 0 to 1."""
    probability: float = 0.0
    """Probability that all of the text is right, as the model sees it, 0 to 1."""
    alternatives: list[str] = field(default_factory=list[str])
    """Other suggestions, in order of their first tokens' probabilities."""
    definitions: list[ShownDefinition] = field(default_factory=list[ShownDefinition])
    """Definitions from other files, or chunks of them, in the prompt, in their order there."""
    memory_share: float | None = None
    """Share of memory, of which `sources` names the most, in what the suggestion drew on, 0 to 1;
    the rest is the model itself and its prompt. None: it is not known."""
    is_short: bool = False
    """Whether it was written from a short prompt, as most of the whole one was unprocessed."""
    first_line: int = 0
    """First line of the file itself in the prompt, from 1."""
    last_line: int = 0
    """Last line of the file itself in the prompt, inclusive."""


@dataclass(frozen=True)
class RememberResult:
    """Work of remembering one file."""

    path: str
    n_tokens: int
    n_segments: int
    n_encoded: int
    """Number of segments that were encoded."""
    n_loaded: int
    """Number of segments that were read from the store on disk."""
    n_kept: int
    """Number of segments that were in memory already."""


@dataclass(frozen=True)
class ClearedStore:
    """What was removed from disk, and what had to stay."""

    n_segments: int = 0
    n_bytes: int = 0
    """Bytes that were removed: segments, processed prompts, facts about definitions."""
    kept_bytes: int = 0
    """Bytes of segments that other clients of the engine have in memory, which stay."""


@dataclass(frozen=True)
class EncodedDefinitions:
    """A step of encoding definitions that nobody waits for."""

    n_encoded: int = 0
    n_left: int = 0
    """Number of files whose definitions are left to encode; 0: there is nothing more to do."""


@dataclass(frozen=True)
class EngineUser:
    """Client of a shared engine: an editor window, with a repository of its own in memory."""

    name: str
    """Name that the client gave itself."""
    n_files: int
    n_tokens: int
    is_asking: bool
    """Whether this client requested the status."""


@dataclass(frozen=True)
class EngineStatus:
    """State of the engine; counts are those of the client that requested it."""

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
    """Number of segments encoded since the start."""
    loaded_segments: int
    """Number of segments read from disk since the start."""
    damaged_segments: int
    """Stored segments that were damaged, and encoded again."""
    store_problem: str | None
    """Why nothing is stored on disk; None if segments are."""
    token_bytes: int = 0
    """Bytes of one token's record in memory."""
    encoded_definitions: int = 0
    """Definitions, in pieces of files, that are encoded and stored."""
    definition_bytes: int = 0
    """Bytes of these."""
    files_to_encode: int = 0
    """Files whose definitions are left to encode, where requests want them as memory."""
    compiled: bool = False
    """Whether the model's layers are compiled by torch."""
    not_compiled: str | None = None
    """Why they are not compiled, if that was requested."""
    prompt_threads: int = 0
    """Threads that read prompts, those that measured best when the model was loaded; 0: torch's."""
    decoding_threads: int = 0
    """Threads that compute one token, likewise."""
    context_bytes: int = 0
    """Bytes of the keys and values of prompts at the last places, of all clients."""
    users: list[EngineUser] = field(default_factory=list[EngineUser])
    """All clients of the engine."""
