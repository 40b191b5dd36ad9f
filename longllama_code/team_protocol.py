"""What an editor's server and a team's engine say to each other over HTTP: plain values in JSON.

The engine holds a repository at a revision; who asks names that revision, and the files of their
own that differ from it, by digest. So any replica can answer any request: one that lacks the text
of such a file says so, and is sent it. Answers are lines of JSON, the last of which is the result.
Nothing here needs torch.
"""

import hashlib
from dataclasses import dataclass, field

VERSION = "1"
"""Of these messages; both sides must have the same."""

HELLO = "/v1/hello"
REPOSITORY = "/v1/repository"
REMEMBER = "/v1/remember"
COMPLETE = "/v1/complete"
STATUS = "/v1/status"
LEAVE = "/v1/leave"

MODEL_ID_HEADER = "serve_multiplexed_model_id"
"""Ray Serve's: what a replica is to hold that answers."""
MAX_BODY_BYTES = 16 << 20


@dataclass(frozen=True)
class KnownFile:
    """A file of a repository as the engine has it."""

    digest: str
    n_tokens: int
    n_segments: int


@dataclass(frozen=True)
class KnownRepository:
    """What the engine has of a repository."""

    name: str
    revision: str
    model: str
    token_bytes: int
    files: dict[str, KnownFile] = field(default_factory=dict[str, KnownFile])


@dataclass(frozen=True)
class Overlay:
    """A user's own files over a revision of a repository."""

    session: str
    """Of one window; nobody else's files have its name."""
    number: int
    """Counts the changes of ``files``: of two overlays of a session, the greater one holds."""
    files: dict[str, str | None] = field(default_factory=dict[str, str | None])
    """The digest of each file that differs; None where it is gone."""


def digest_of(text: str) -> str:
    """Equal digests are equal texts: 32 hexadecimal digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def memory_id(repository: str, revision: str) -> str:
    """What a replica calls the memory of a repository: it is no secret, and fits into a header."""
    return f"{repository}@{revision}"


def parse_memory_id(text: str) -> tuple[str, str]:
    """The repository and the revision of a memory's name; the latter is empty where it is none."""
    repository, _, revision = text.rpartition("@")
    return repository, revision
