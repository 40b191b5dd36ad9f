"""A suggestion that a client was sent, and how much of it stands in the document."""

from dataclasses import dataclass

from longllama_code.texts import common_prefix_length
from lsp_server.suggestions.closers import Fit
from lsp_server.suggestions.filters import CLOSERS

UTF16_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Suggestion that a client was sent, and the text around it then.

    Texts have line ends as a model reads them.
    """

    id: str
    uri: str
    language: str
    before: str
    """Text of the document before the suggestion, or before what it begins with already."""
    after: str
    """Text of the document behind the cursor."""
    fits: tuple[Fit, ...]
    """The suggestion, and its alternatives."""
    latency_ms: int
    """Time from the request to the answer."""
    is_automatic: bool
    """Whether typing caused the request."""
    probability: float = 0.0
    """Probability that all of it is right, as the model sees it, 0 to 1."""
    model: str = ""
    """Name of the model, of which a hash is kept."""

    def n_present(self, document: str, number: int = 0) -> int | None:
        """Return how many characters of a fit stand in a document, at its place.

        None if something else stands there. The document has line ends as a model reads them.
        """
        if not document.startswith(self.before):
            return None
        return _n_present(document[len(self.before) :], self.fits[number].text, self.after)

    def with_part(self, n_chars: int, number: int = 0) -> str:
        """Return the document as it is once the beginning of a fit was inserted."""
        fit = self.fits[number]
        is_whole = n_chars >= len(fit.text)
        after = self.after[fit.n_replaced :] if is_whole else self.after
        return self.before + fit.text[:n_chars] + after

    def n_chars(self, n_units: int, number: int = 0) -> int:
        """Return how many characters of a fit are in so many UTF-16 code units of it."""
        encoded = self.fits[number].text.encode("utf-16-le", "surrogatepass")
        part = encoded[: UTF16_BYTES * max(n_units, 0)]
        return len(part.decode("utf-16-le", "ignore"))


def _n_present(rest: str, text: str, after: str) -> int | None:
    """Return how much of a text's beginning stands before what was behind the cursor.

    An editor may have added closers there, or taken them away.
    """
    line, end, below = after.partition("\n")
    if not rest.endswith(end + below):
        return None
    head = rest[: len(rest) - len(end + below)]
    for n in range(common_prefix_length(head, text), -1, -1):
        now = head[n:]
        if now == line or set(now + line) <= CLOSERS:
            return n
    return None
