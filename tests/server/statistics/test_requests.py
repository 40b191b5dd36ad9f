"""What is counted for clients that only ask: what their later requests show, and nothing else."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsp_server.statistics.offer import Offer
from lsp_server.statistics.record import Record
from lsp_server.statistics.requests import MAX_FILES, MAX_WATCHED, RequestCounter
from lsp_server.suggestions.closers import Fit

URI = "longllama-http:///a.py"
ABOVE = "import math\n\n\ndef area_of_circle(radius):\n"


@dataclass
class Client:
    """A client that asks at a cursor, and the records that are kept of what it was sent."""

    records: dict[int, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counter = RequestCounter(self._keep)

    def ask(self, before: str, *texts: str, after: str = "\n", uri: str = URI) -> None:
        """Ask at a cursor; without texts, there is no answer."""
        self.counter.requested(uri, before)
        if texts:
            self.counter.answered(
                Offer(
                    id="s1",
                    uri=uri,
                    language="python",
                    before=before,
                    after=after,
                    fits=tuple(map(Fit, texts)),
                    latency_ms=20,
                    is_automatic=True,
                )
            )

    @property
    def outcomes(self) -> list[tuple[str | None, int]]:
        return [(record.outcome, record.n_accepted) for record in self.records.values()]

    def _keep(self, record: Record) -> None:
        self.records[record.id] = record


BEFORE = ABOVE + "    return "
TEXT = "math.pi * radius**2"


def test_what_is_sent_is_counted_with_its_latency_and_language_under_a_name_of_its_own():
    client = Client()
    client.ask(BEFORE, TEXT)
    (record,) = client.records.values()
    assert (record.client, record.language, record.latency_ms) == ("http", "python", 20)
    assert (record.n_chars, record.outcome) == (len(TEXT), None)


BLOCK = "first = radius**2\n    return first * math.pi"


@pytest.mark.parametrize(
    ("text", "later", "outcome", "n_accepted"),
    [
        (TEXT, "math.pi * radius**2\n\n", "accepted", len(TEXT)),
        (TEXT, "math.pi * radius**2 + 1", "accepted", len(TEXT)),
        (TEXT, "math.pi * radius**2", None, 0),  # a client asks in advance like that
        (TEXT, "math.pi * rad", None, 0),
        (TEXT, "", None, 0),
        (TEXT, "math.pi\n", "typed_over", 0),
        (TEXT, "3 * radius", "typed_over", 0),
        (BLOCK, "first = radius**2\n    x", "partly_accepted", len("first = radius**2\n")),
        (BLOCK, "first = radius**2", None, 0),
        (BLOCK, "first = 1\n    return", "typed_over", 0),
        (BLOCK, f"{BLOCK}\n", "accepted", len(BLOCK)),
        (TEXT, "\ndef below():\n    ", "left", 0),  # the cursor went on as if nothing were there
    ],
)
def test_what_became_of_it_is_what_a_later_text_has_before_the_cursor(
    text, later, outcome, n_accepted
):
    client = Client()
    client.ask(BEFORE, text, after="\ndef below():\n    pass\n")
    client.ask(BEFORE + later)
    assert client.outcomes == [(outcome, n_accepted)]


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        (ABOVE + "    x = 1\n", "typed_over"),  # what stood before it was erased
        (ABOVE + "    ret", None),
        (ABOVE, None),
        ("import math\n\n\ndef volume_of_sphere(radius):\n    return 3", None),
        ("x = 1\n", None),
        ("import os\nimport sys\n" + BEFORE + "1\n", "typed_over"),  # the window begins elsewhere
        (BEFORE[4:] + TEXT + "\n", None),  # what is left of the lines above could be anywhere
        (f"{ABOVE}\n{BEFORE}{TEXT}\n", None),  # which of the two it was cannot be told
    ],
)
def test_its_place_is_found_by_the_lines_above_and_else_nothing_is_said(before, outcome):
    client = Client()
    client.ask(BEFORE, TEXT)
    client.ask(before)
    assert [found for found, _ in client.outcomes] == [outcome]


def test_what_is_left_to_type_of_a_suggestion_is_no_other():
    client = Client()
    client.ask(BEFORE, TEXT)
    for n in range(1, 6):
        client.ask(BEFORE + TEXT[:n], TEXT[n:])
    client.ask(f"{BEFORE}{TEXT}\n")
    assert client.outcomes == [("accepted", len(TEXT))]


def test_any_of_several_texts_may_be_accepted():
    client = Client()
    client.ask(BEFORE, TEXT, "math.tau", "3")
    client.ask(BEFORE + "math.tau / 2")
    assert client.outcomes == [("accepted", len("math.tau"))]


def test_another_suggestion_at_the_same_cursor_takes_its_place():
    client = Client()
    client.ask(BEFORE, TEXT)
    client.ask(BEFORE, "3")
    client.ask(BEFORE + "3\n")
    assert client.outcomes == [("left", 0), ("accepted", 1)]


def test_a_suggestion_that_was_asked_for_in_advance_counts_once_its_place_came_to_be():
    for is_accepted in (True, False):
        client = Client()
        client.ask(BEFORE, TEXT)
        client.ask(BEFORE + TEXT, " * height")
        assert client.outcomes == [(None, 0)]
        client.ask(BEFORE + (f"{TEXT} * height\n" if is_accepted else "3\n"))
        accepted = [("accepted", len(TEXT)), ("accepted", len(" * height"))]
        assert client.outcomes == (accepted if is_accepted else [("typed_over", 0)])


def test_llama_vim_asks_in_advance_behind_the_rest_of_the_line():
    client = Client()
    client.ask(BEFORE, TEXT, after=")\n")
    client.ask(f"{BEFORE}){TEXT}", "\n")
    client.ask(f"{BEFORE}{TEXT})\n")
    assert client.outcomes == [("accepted", len(TEXT))]


def test_files_are_apart_and_no_more_is_watched_than_a_limit():
    client = Client()
    for number in range(MAX_FILES + 1):
        client.ask(BEFORE, TEXT, uri=f"{URI}{number}")
    for number in range(MAX_FILES + 1):
        client.ask(f"{BEFORE}{TEXT}\n", uri=f"{URI}{number}")
    assert client.outcomes == [(None, 0), *[("accepted", len(TEXT))] * MAX_FILES]
    before = BEFORE
    for number in range(3 * MAX_WATCHED):
        client.ask(before, f"a{number}")
        before += f"a{number}"
    client.ask(before + "\n")
    accepted = [found for found, _ in client.outcomes].count("accepted")
    assert accepted == MAX_FILES + MAX_WATCHED


def test_turned_off_and_cleared_nothing_is_counted():
    client = Client()
    client.counter.is_on = False
    client.ask(BEFORE, TEXT)
    client.counter.is_on = True
    client.ask(f"{BEFORE}{TEXT}\n")
    assert client.outcomes == []
    client.ask(f"{BEFORE}{TEXT}\nx = ", "y")
    client.counter.forget()
    client.ask(f"{BEFORE}{TEXT}\nx = y\n")
    assert client.outcomes == [(None, 0)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "type over", "accept a line", "type it", "look away"]),
        st.booleans(),  # whether the client asks in advance
        st.integers(1, 40),  # lines that a request has above its cursor
        st.integers(1, 3),  # lines of the suggestion
    ),
    max_size=12,
)


@settings(deadline=None)
@given(STEPS)
def test_whatever_is_counted_is_what_was_done(steps):
    """A person writes, asked in windows of any size and in advance; each line stands once."""
    client, lines, truth = Client(), ABOVE, {}
    for number, (action, in_advance, n_lines, n_suggested) in enumerate(steps):
        lines += f"    value_{number} = "
        text = "\n".join(f"call_{number}_{line}(radius)" for line in range(n_suggested))
        known = set(client.records)
        client.ask(window(lines, n_lines), text)
        (name,) = client.records.keys() - known
        if in_advance:
            client.ask(window(lines + text, n_lines), f".advance_{number}()")
        parts = {
            "accept": (text, "accepted"),
            "type it": (text, "accepted"),
            "type over": (f"own_{number}", "typed_over"),
            "accept a line": (f"call_{number}_0(radius)\nown_{number}", "partly_accepted"),
            "look away": ("", "left"),
        }
        done, outcome = parts[action]
        if action == "accept a line" and n_suggested == 1:
            outcome = "accepted"
        truth[name] = outcome, n_lines
        lines += f"{done}\n"
        client.ask(window(f"{lines}\n", n_lines))
    for name, record in client.records.items():
        # Asked for in advance, and then its place came to be: the next line was begun there.
        expected, n_lines = truth.get(name, ("left", 0))
        assert record.outcome in ((expected,) if n_lines >= 16 else (None, expected))


def window(before: str, n_lines: int) -> str:
    return "\n".join(before.split("\n")[-n_lines:])
