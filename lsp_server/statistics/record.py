"""What is kept of a suggestion that was shown: numbers and codes, no text, no name of a file."""

import re
import secrets
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from lsp_server.statistics.offer import Offer

Outcome = Literal["accepted", "partly_accepted", "typed_out", "typed_over", "left"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "partly_accepted", "typed_out", "typed_over", "left")
"""What becomes of a suggestion; where several hold, the first one counts."""
Survival = Literal["there", "gone", "unknown"]
Client = Literal["editor", "http"]
CLIENTS: tuple[Client, ...] = ("editor", "http")
"""Ways in which clients ask: LSP, or HTTP, where all that is known is what they are sent."""

OTHER = "other"
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}", re.ASCII)


@dataclass(kw_only=True)
class Record:
    """A suggestion that was shown, and what became of it."""

    id: int = field(default_factory=lambda: secrets.randbits(62))
    shown_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    language: str
    n_chars: int
    latency_ms: int
    is_automatic: bool
    confidence: int
    """Probability that all of it is right, as the model sees it, in percent."""
    model: int
    """Hash of the model's name."""
    outcome: Outcome | None = None
    """None while it is on the screen."""
    n_accepted: int = 0
    """Accepted characters."""
    after_30_s: Survival | None = None
    """Whether the accepted text was there after 30 seconds; None before that."""
    after_5_min: Survival | None = None
    client: Client = "editor"

    def note(self, outcome: Outcome) -> bool:
        """Take an outcome, unless a better one is known; return whether it was taken."""
        is_better = self.outcome is None or _rank(outcome) < _rank(self.outcome)
        if is_better:
            self.outcome = outcome
        return is_better


def record_of(offer: Offer, client: Client = "editor") -> Record:
    """Return the record of an offer that was shown, or sent to a client that only asks."""
    return Record(
        language=offer.language if _LANGUAGE.fullmatch(offer.language) else OTHER,
        n_chars=len(offer.fits[0].text),
        latency_ms=offer.latency_ms,
        is_automatic=offer.is_automatic,
        confidence=int(100 * offer.probability),
        model=model_hash(offer.model),
        client=client,
    )


def model_hash(name: str) -> int:
    """Return a number that stands for a model's name, which may be a path of the user's."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def _rank(outcome: Outcome) -> int:
    return OUTCOMES.index(outcome)
