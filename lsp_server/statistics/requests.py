"""What becomes of suggestions for clients that only ask, as far as their later requests show it.

Such a client says neither what it shows nor what its user accepts, and may ask in advance, with a
suggestion in the text that nobody has accepted yet. So a text that suggestions alone have made says
nothing, and what no request shows is not known.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from longllama_code.texts import common_prefix_length
from lsp_server.statistics.offer import Offer
from lsp_server.statistics.record import Outcome, Record, record_of

MAX_WATCHED = 8
"""Suggestions in one file of which a later request may show something."""
MAX_FILES = 8
RUN_LINES = 8
"""Lines above the cursor's by which the place of a suggestion is found in a later text."""
LEAST_CHARS = 24
"""Characters but blanks that these lines must have: fewer are in many places."""
NEAR_CHARS = 200_000
"""Length of the text before a cursor in which a place is looked for."""


@dataclass(frozen=True)
class _Sent:
    """A suggestion that a client was sent, and its place."""

    above: str
    """Whole lines above the cursor's, the last few."""
    line_start: int
    """Offset of the cursor's line in its text."""
    line: str
    """Text before the cursor on its line."""
    line_rest: str
    """Text behind the cursor on its line."""
    texts: tuple[str, ...]
    """The suggestion, and its alternatives."""
    record: Record
    is_in_advance: bool
    """Whether its place may be a client's guess: it counts once a text shows that it was none."""

    def line_in(self, before: str) -> str | None:
        """Return what stands between the beginning of this suggestion's line and a later cursor.

        None if the lines above are not there, or are there twice.
        """
        if not self.tells_place:
            is_there = before.startswith(self.above, self.line_start - len(self.above))
            return before[self.line_start :] if is_there else None
        near, run = "\n" + before[-NEAR_CHARS:], "\n" + self.above
        at = near.find(run)
        is_only_one = at >= 0 and near.find(run, at + 1) < 0
        return near[at + len(run) :] if is_only_one else None

    @property
    def tells_place(self) -> bool:
        """Whether the lines above stand hardly anywhere else."""
        return sum(map(len, self.above.split())) >= LEAST_CHARS

    def written_in(self, before: str) -> str | None:
        """Return what stands between the place of this suggestion and a later cursor.

        None if that place is not there.
        """
        line = self.line_in(before)
        return line[len(self.line) :] if line is not None and line.startswith(self.line) else None

    def may_have_made(self, before: str) -> bool:
        """Whether a text is that of this suggestion's request, with a part of it at most."""
        written = self.written_in(before)
        # llama.vim asks in advance with the suggestion behind the rest of the line.
        return written is not None and any(
            text.startswith(written) or (self.line_rest + text).startswith(written)
            for text in self.texts
        )

    def has_rest(self, text: str, before: str) -> bool:
        """Whether a text is what is left of this suggestion at a later cursor."""
        written = self.written_in(before)
        return written is not None and any(written + text == each for each in self.texts)

    def outcome_in(self, before: str) -> tuple[Outcome, int] | None:
        """Return what became of this suggestion, and how many characters of it were accepted.

        None if a later text does not show that.
        """
        line = self.line_in(before)
        if line is None or self.line.startswith(line):
            return None
        if line.startswith(self.line):
            return self._outcome_of(line[len(self.line) :])
        return ("typed_over", 0) if self.tells_place and not self.is_in_advance else None

    def _outcome_of(self, written: str) -> tuple[Outcome, int]:
        whole = [len(text) for text in self.texts if written.startswith(text)]
        if whole:
            return "accepted", max(whole)
        first, has_more, _ = written.partition("\n")
        if first == self.line_rest if has_more else self.line_rest.startswith(first):
            return "left", 0
        n_chars = max(_n_in_whole_lines(text, written) for text in self.texts)
        return ("partly_accepted", n_chars) if n_chars else ("typed_over", 0)


class RequestCounter:
    """Owner of the suggestions that such clients were sent. Lives on the event loop.

    Args:
        keep: called with a record when it is made, and each time it changes.
    """

    def __init__(self, keep: Callable[[Record], None]) -> None:
        self._keep = keep
        self._sent: OrderedDict[str, list[_Sent]] = OrderedDict()
        self.is_on = True
        """Whether anything is counted."""

    def requested(self, uri: str, before: str) -> None:
        """Look what a request's text shows of the suggestions that were sent for its file.

        Args:
            uri: the file.
            before: text before the cursor, with line ends as a model reads them.
        """
        sent = self._sent.get(uri, [])
        if not any(each.may_have_made(before) for each in sent):
            self._sent.pop(uri, None)
            for each in sent:
                self._note(each, each.outcome_in(before))

    def answered(self, offer: Offer) -> None:
        """Count a suggestion that a client was sent, unless it is the rest of an earlier one."""
        if not self.is_on:
            return
        earlier, text = self._sent.pop(offer.uri, []), offer.fits[0].text
        if not any(each.has_rest(text, offer.before) for each in earlier):
            replaced = [each for each in earlier if each.written_in(offer.before) == ""]
            for each in replaced:
                self._note(each, None if each.is_in_advance else ("left", 0))
            kept = [each for each in earlier if each not in replaced]
            earlier = [*kept, self._new(offer, is_in_advance=bool(kept))][-MAX_WATCHED:]
        self._sent[offer.uri] = earlier
        if len(self._sent) > MAX_FILES:
            self._sent.popitem(last=False)

    def forget(self) -> None:
        """Forget all suggestions, as what was counted was cleared."""
        self._sent.clear()

    def _new(self, offer: Offer, *, is_in_advance: bool) -> _Sent:
        start = offer.before.rfind("\n") + 1
        above = offer.before[:start].split("\n")[-RUN_LINES - 1 :]
        sent = _Sent(
            above="\n".join(above),
            line_start=start,
            line=offer.before[start:],
            line_rest=offer.after.partition("\n")[0],
            texts=tuple(fit.text for fit in offer.fits),
            record=record_of(offer, "http"),
            is_in_advance=is_in_advance,
        )
        if not is_in_advance:
            self._keep(sent.record)
        return sent

    def _note(self, sent: _Sent, found: tuple[Outcome, int] | None) -> None:
        if found is not None:
            sent.record.note(found[0])
            sent.record.n_accepted = found[1]
            self._keep(sent.record)


def _n_in_whole_lines(text: str, written: str) -> int:
    """Return the length of a suggestion's first lines that were written, if they have any text."""
    n_chars = text.rfind("\n", 0, common_prefix_length(text, written)) + 1
    return n_chars if text[:n_chars].strip() else 0
