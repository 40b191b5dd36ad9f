"""Messages between an editor's server and a team's engine over HTTP: plain values in JSON.

The engine holds a repository at a revision; a client names that revision and, by digest, its own
files that differ from it, so any replica can answer any request. A replica that lacks the text
of such a file says so and is sent it. Answers are lines of JSON; the last one is the result.
Nothing here needs torch.
"""

import hashlib
from dataclasses import dataclass, field

VERSION = "1"
"""Version of these messages; both sides must have the same."""

HELLO = "/v1/hello"
REPOSITORY = "/v1/repository"
REMEMBER = "/v1/remember"
COMPLETE = "/v1/complete"
STATUS = "/v1/status"
LEAVE = "/v1/leave"

MODEL_ID_HEADER = "serve_multiplexed_model_id"
"""Ray Serve's header for the model ID, here a ``memory_id``: a replica that holds it answers."""
MAX_BODY_BYTES = 16 << 20


@dataclass(frozen=True)
class KnownFile:
    """A file of a repository as the engine has it."""

    digest: str
    n_tokens: int
    n_segments: int


@dataclass(frozen=True)
class KnownRepository:
    """A repository as the engine has it."""

    name: str
    revision: str
    model: str
    token_bytes: int
    files: dict[str, KnownFile] = field(default_factory=dict[str, KnownFile])


@dataclass(frozen=True)
class Overlay:
    """A user's own files over a revision of a repository."""

    session: str
    """Identifier of an editor window; unique to it."""
    number: int
    """Version of ``files``: of two overlays of a session, the greater number is newer."""
    files: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """Digest of each file that differs; None if it was deleted."""


def digest_of(text: str) -> str:
    """Return the digest of a text, 32 hexadecimal digits; equal digests mean equal texts."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def memory_id(repository: str, revision: str) -> str:
    """Return the name of a repository's memory; it is not secret and fits into a header."""
    return f"{repository}@{revision}"


def parse_memory_id(text: str) -> tuple[str, str]:
    """Return the repository and revision of a memory's name; other texts give an empty revision."""
    repository, _, revision = text.rpartition("@")
    return repository, revision
