"""An editor of one document, whose suggestions are counted."""

from lsp_server.statistics.counter import Shown, SuggestionCounter
from lsp_server.statistics.offer import Offer
from lsp_server.statistics.record import Record
from lsp_server.suggestions.closers import Fit

URI = "file:///a.py"


class CountedEditor:
    """Document with a cursor, the counter, and the records that it kept."""

    def __init__(self, text: str = "", after: str = "", *, tells: bool = True) -> None:
        self.before, self.after = text, after
        self.is_open = True
        self.records: dict[int, Record] = {}
        self.accepted: list[tuple[str, int]] = []
        """Text of each accepted suggestion, and how much of it."""
        self.counter = SuggestionCounter(self._text, self._keep, self._note_accepted)
        self.counter.client_tells_shown = tells
        self.n_offered = 0

    @property
    def outcomes(self) -> list[str | None]:
        return [record.outcome for record in self.records.values()]

    @property
    def record(self) -> Record:
        (record,) = self.records.values()
        return record

    def offer(self, *texts: str, n_replaced: int = 0) -> str:
        self.n_offered += 1
        name = f"s{self.n_offered}"
        self.counter.offered(
            Offer(
                id=name,
                uri=URI,
                language="python",
                before=self.before,
                after=self.after,
                fits=tuple(Fit(text, n_replaced) for text in texts),
                latency_ms=20,
                is_automatic=True,
                probability=0.5,
            )
        )
        return name

    def show(self, *texts: str, n_replaced: int = 0) -> str:
        name = self.offer(*texts, n_replaced=n_replaced)
        self.counter.shown(name)
        return name

    def type(self, text: str) -> None:
        for char in text:
            self.insert(char)

    def insert(self, text: str, n_replaced: int = 0) -> None:
        self.before, self.after = self.before + text, self.after[n_replaced:]
        self.counter.changed(URI)

    def erase(self) -> None:
        self.before = self.before[:-1]
        self.counter.changed(URI)

    def edit_above(self, text: str) -> None:
        self.before = text + self.before
        self.counter.changed(URI)

    def close(self) -> None:
        self.is_open = False
        self.counter.closed(URI)

    def _text(self, uri: str) -> str | None:
        return self.before + self.after if uri == URI and self.is_open else None

    def _keep(self, record: Record) -> None:
        self.records[record.id] = record

    def _note_accepted(self, shown: Shown, record: Record) -> None:
        self.accepted.append((shown.offer.fits[shown.number].text, record.n_accepted))
