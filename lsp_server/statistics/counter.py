"""The one place where is counted what becomes of suggestions, whichever dialect a client speaks.

Handlers of messages say what a client was sent (`offered`), what it tells (`shown`, `accepted`,
`dismissed`) and where its documents change (`changed`, `moved`, `closed`). A client that does not
tell what it shows is taken to show all that it is sent.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from longllama_code.source_files.model_text import model_text
from lsp_server.statistics.offer import Offer
from lsp_server.statistics.record import Outcome, Record, record_of
from lsp_server.statistics.spans import change_between

MAX_KNOWN = 50
"""Offers of which a client may tell something later."""
MAX_DOCUMENT_CHARS = 500_000
"""Length of a document above which nothing is counted: each offer keeps its text."""
AT_ONCE_CHARS = 4
"""Length from which the end of a suggestion that appears in one change was accepted, not typed."""


@dataclass
class Shown:
    """A suggestion that was sent, and is shown once it has a record."""

    offer: Offer
    document: str
    """Text of its document when it last changed."""
    record: Record | None = None
    number: int = 0
    """Which of the offer's fits the user took."""
    n_present: int = 0
    """Characters of it that stand in the document, typed or accepted."""


@dataclass(frozen=True)
class _Known:
    """A suggestion by one of the names that clients have for it."""

    shown: Shown
    start: int
    """Characters of it that had been typed when the name was given."""


class SuggestionCounter:
    """Owner of the suggestions on the screen, and of the records that are made of them.

    Lives on the event loop.

    Args:
        text_of: returns the text of an open document; None if it is not open.
        keep: called with a record when it is made, and each time it changes.
        was_accepted: called when a suggestion or a beginning of it was accepted.
    """

    def __init__(
        self,
        text_of: Callable[[str], str | None],
        keep: Callable[[Record], None],
        was_accepted: Callable[[Shown, Record], None],
    ) -> None:
        self._text_of, self._keep, self._was_accepted = text_of, keep, was_accepted
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._on_screen: dict[str, Shown] = {}
        self.is_on = True
        """Whether anything is counted."""
        self.client_tells_shown = False
        """Whether the client calls `shown`."""

    def offered(self, offer: Offer) -> None:
        """Note a suggestion that a client was sent."""
        document = self._text_of(offer.uri)
        if not self.is_on or document is None or len(document) > MAX_DOCUMENT_CHARS:
            return
        known = self._continued(offer) or _Known(Shown(offer, model_text(document)), 0)
        self._known[offer.id] = known
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        if not self.client_tells_shown:
            self.shown(offer.id)

    def shown(self, suggestion_id: str) -> None:
        """Count a suggestion that a client shows; once, however often it tells so."""
        known = self._known.get(suggestion_id)
        if known is None or known.shown.record is not None:
            return
        shown, uri = known.shown, known.shown.offer.uri
        self._end(uri, "left")
        self._on_screen[uri] = shown
        shown.record = record_of(shown.offer)
        self._keep(shown.record)
        self.changed(uri)

    def accepted(self, suggestion_id: str, n_units: int | None = None, number: int = 0) -> None:
        """Count a suggestion that the user accepted.

        Args:
            suggestion_id: the suggestion's id, as its command has it.
            n_units: length of what was accepted of its text so far, in UTF-16 units; None: all.
            number: which of its alternatives was accepted; 0 is the suggestion itself.
        """
        known = self._known.get(suggestion_id)
        if known is None or not 0 <= number < len(known.shown.offer.fits):
            return
        self.shown(suggestion_id)
        shown, offer = known.shown, known.shown.offer
        shown.number = number
        whole = len(offer.fits[number].text)
        if n_units is not None:
            typed = offer.fits[number].text[: known.start]
            n_typed_units = len(typed.encode("utf-16-le", "surrogatepass")) // 2
            self._accept(shown, offer.n_chars(n_typed_units + n_units, number))
        else:
            self._accept(shown, whole)

    def dismissed(self, suggestion_id: str) -> None:
        """Note that the user put a suggestion away without typing."""
        known = self._known.get(suggestion_id)
        if known is not None and self._on_screen.get(known.shown.offer.uri) is known.shown:
            self._end(known.shown.offer.uri, "left")

    def changed(self, uri: str) -> None:
        """Look what became of the suggestion in a document that has changed."""
        shown, text = self._on_screen.get(uri), self._text_of(uri)
        if shown is None or text is None:
            return
        document = model_text(text)
        before, shown.document = shown.document, document
        n_present = shown.offer.n_present(document, shown.number)
        if n_present is None:
            self._end(uri, "typed_over" if _was_edited(shown, before) else "left")
            return
        added, shown.n_present = n_present - shown.n_present, n_present
        if n_present < len(shown.offer.fits[shown.number].text):
            return
        if added >= AT_ONCE_CHARS:
            self._accept(shown, n_present)
        else:
            self._end(uri, "typed_out")

    def moved(self, uri: str, n_before: int) -> None:
        """Note that a cursor was put behind so many characters without typing."""
        shown = self._on_screen.get(uri)
        if shown is not None and n_before != len(shown.offer.before) + shown.n_present:
            self._end(uri, "left")

    def closed(self, uri: str) -> None:
        """Note that a document was closed."""
        self._end(uri, "left")

    def end(self) -> None:
        """Note that the client is gone."""
        for uri in list(self._on_screen):
            self._end(uri, "left")

    def forget(self) -> None:
        """Forget all suggestions, as what was counted was cleared."""
        self._known.clear()
        self._on_screen.clear()

    def _continued(self, offer: Offer) -> _Known | None:
        """Return the suggestion on the screen if an offer is what is left of it to type."""
        shown = self._on_screen.get(offer.uri)
        if shown is None:
            return None
        first = shown.offer
        text, start = first.fits[shown.number].text, len(offer.before) - len(first.before)
        is_rest = start >= 0 and offer.before == first.before + text[:start]
        return _Known(shown, start) if is_rest and offer.fits[0].text == text[start:] else None

    def _accept(self, shown: Shown, n_chars: int) -> None:
        record = shown.record
        if record is None or n_chars <= record.n_accepted:
            return
        is_whole = n_chars >= len(shown.offer.fits[shown.number].text)
        record.n_accepted = n_chars
        record.note("accepted" if is_whole else "partly_accepted")
        if is_whole and self._on_screen.get(shown.offer.uri) is shown:
            del self._on_screen[shown.offer.uri]
        self._keep(record)
        self._was_accepted(shown, record)

    def _end(self, uri: str, outcome: Outcome) -> None:
        """Take the suggestion in a document from the screen."""
        shown = self._on_screen.pop(uri, None)
        if shown is not None and shown.record is not None and shown.record.note(outcome):
            self._keep(shown.record)


def _was_edited(shown: Shown, before: str) -> bool:
    """Whether the last change of a document was at the cursor of the suggestion in it."""
    place = len(shown.offer.before) + shown.n_present
    change = change_between(before, shown.document)
    return change is not None and change.touches(place, place)
