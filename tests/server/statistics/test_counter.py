"""What becomes of a suggestion is counted once, whatever the client tells and in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from lsp_server.statistics.counter import MAX_DOCUMENT_CHARS
from lsp_server.statistics.record import OUTCOMES, Record
from tests.server.statistics.counted_editor import URI, CountedEditor


def test_a_suggestion_that_is_taken_whole_is_accepted_before_or_after_the_text_changes():
    for told_first in (True, False):
        editor = CountedEditor("total = ")
        name = editor.show("price * count")
        if told_first:
            editor.counter.accepted(name)
        editor.insert("price * count")
        if not told_first:
            editor.counter.accepted(name)
        assert editor.outcomes == ["accepted"]
        assert editor.record.n_accepted == len("price * count")
        assert editor.accepted == [("price * count", 13)]


def test_a_short_one_that_is_taken_at_once_counts_as_accepted_once_the_client_says_so():
    editor = CountedEditor("f(")
    name = editor.show("x)")
    editor.insert("x)")
    assert editor.outcomes == ["typed_out"]
    editor.counter.accepted(name)
    assert editor.outcomes == ["accepted"]


def test_a_client_that_tells_nothing_is_taken_to_show_all_and_to_accept_what_appears_at_once():
    editor = CountedEditor("total = ", tells=False)
    editor.offer("price * count")
    editor.insert("price * count")
    assert editor.outcomes == ["accepted"]


def test_what_a_client_that_tells_was_sent_and_did_not_show_is_not_counted():
    editor = CountedEditor("total = ")
    editor.offer("price * count")
    editor.type("x")
    assert editor.records == {}


def test_words_are_accepted_in_part_and_all_words_are_the_whole():
    editor = CountedEditor("total = ")
    name = editor.show("price * count")
    editor.insert("price")
    editor.counter.accepted(name, 5)
    assert editor.outcomes == ["partly_accepted"]
    editor.insert(" * count")
    editor.counter.accepted(name, 13)
    assert editor.outcomes == ["accepted"]
    assert editor.accepted == [("price * count", 5), ("price * count", 13)]


def test_a_part_that_was_accepted_stays_so_when_other_text_follows():
    editor = CountedEditor("total = ")
    editor.counter.accepted(editor.show("price * count"), 5)
    editor.insert("price")
    editor.type("!")
    assert editor.outcomes == ["partly_accepted"]
    assert editor.record.n_accepted == 5


def test_the_rest_of_a_suggestion_is_the_same_suggestion_and_its_part_begins_where_it_did():
    editor = CountedEditor("total = ")
    editor.show("𝒑rice * count")
    editor.type("𝒑ri")
    rest = editor.show("ce * count")
    assert len(editor.records) == 1
    editor.counter.accepted(rest, 2)
    editor.insert("ce")
    assert editor.record.n_accepted == 5
    again = editor.show(" * count")
    editor.insert(" * count")
    editor.counter.accepted(again)
    assert editor.outcomes == ["accepted"]


def test_typing_something_else_or_erasing_is_typing_over():
    for change in (lambda editor: editor.type("x"), lambda editor: editor.erase()):
        editor = CountedEditor("total = ")
        editor.show("price * count")
        change(editor)
        assert editor.outcomes == ["typed_over"]


def test_typing_it_out_is_neither_accepted_nor_typed_over():
    editor = CountedEditor("total = ", "\nreturn")
    editor.show("price")
    editor.type("price")
    assert editor.outcomes == ["typed_out"]


def test_an_edit_elsewhere_a_moved_cursor_a_closed_file_and_another_suggestion_leave_it():
    for change in (
        lambda editor: editor.edit_above("import os\n"),
        lambda editor: editor.counter.moved(URI, 2),
        lambda editor: editor.close(),
        lambda editor: editor.counter.end(),
        lambda editor: editor.counter.dismissed("s1"),
    ):
        editor = CountedEditor("x = 1\ntotal = ")
        editor.show("price * count")
        change(editor)
        assert editor.outcomes == ["left"]
    editor = CountedEditor("total = ")
    editor.show("price")
    editor.show("count")
    assert editor.outcomes == ["left", None]


def test_a_cursor_that_rests_behind_what_was_typed_has_not_left():
    editor = CountedEditor("total = ")
    editor.show("price * count")
    editor.type("pr")
    editor.counter.moved(URI, len("total = pr"))
    assert editor.outcomes == [None]


def test_brackets_that_the_editor_closes_meanwhile_change_nothing():
    editor = CountedEditor("total = ", "\nreturn")
    name = editor.show("sum(prices)")
    editor.type("sum")
    editor.before, editor.after = "total = sum(", ")\nreturn"
    editor.counter.changed(URI)
    assert editor.outcomes == [None]
    editor.before, editor.after = "total = sum(prices)", "\nreturn"
    editor.counter.changed(URI)
    editor.counter.accepted(name)
    assert editor.outcomes == ["accepted"]


def test_what_stands_behind_the_cursor_and_is_replaced_was_not_there_before():
    editor = CountedEditor("class E(", ")\n")
    name = editor.show("Error):", n_replaced=1)
    editor.insert("Error):", n_replaced=1)
    editor.counter.accepted(name)
    assert editor.outcomes == ["accepted"]


def test_a_suggestion_that_begins_like_the_text_behind_it_is_not_there_yet():
    editor = CountedEditor("x = ", "foo()")
    editor.show("foo")
    editor.type("f")
    assert editor.outcomes == [None]


def test_an_alternative_is_accepted_by_its_number():
    editor = CountedEditor("total = ")
    name = editor.show("price", "count of all")
    editor.counter.accepted(name, number=1)
    assert editor.accepted == [("count of all", 12)]
    editor.counter.accepted(name, number=7)
    assert editor.outcomes == ["accepted"]


def test_nothing_is_counted_while_it_is_off_and_after_forgetting():
    editor = CountedEditor("total = ")
    editor.counter.is_on = False
    editor.counter.accepted(editor.show("price"))
    assert editor.records == {}
    editor.counter.is_on = True
    name = editor.show("price")
    editor.counter.forget()
    editor.records.clear()
    editor.counter.accepted(name)
    editor.type("x")
    assert editor.records == {}


TEXTS = st.text("ab()\n", min_size=1, max_size=6)
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["show", "insert"]), TEXTS),
    st.tuples(
        st.sampled_from(["erase", "accept", "accept a part", "move", "dismiss", "edit above"]),
        st.just("x"),
    ),
)


def act(editor: CountedEditor, action: str, text: str) -> None:
    """Do something of `ACTIONS`; `s1` and so on are the names of suggestions."""
    last = f"s{editor.n_offered}"
    {
        "show": lambda: editor.show(text),
        "insert": lambda: editor.insert(text),
        "erase": editor.erase,
        "accept": lambda: editor.counter.accepted(last),
        "accept a part": lambda: editor.counter.accepted(last, 1),
        "move": lambda: editor.counter.moved(URI, 0),
        "dismiss": lambda: editor.counter.dismissed(last),
        "edit above": lambda: editor.edit_above(text),
    }[action]()


def rank(record: Record) -> int:
    return len(OUTCOMES) if record.outcome is None else OUTCOMES.index(record.outcome)


@given(st.booleans(), st.text("ab)", max_size=3), st.lists(ACTIONS, max_size=12))
def test_each_shown_suggestion_has_one_record_whose_outcome_only_gets_better(
    tells: bool, after: str, actions: list[tuple[str, str]]
):
    editor = CountedEditor("ab", after, tells=tells)
    best: dict[int, int] = {}
    for action, text in actions:
        act(editor, action, text)
        for record in editor.records.values():
            assert rank(record) <= best.get(record.id, len(OUTCOMES))
            best[record.id] = rank(record)
            was_accepted = record.outcome in ("accepted", "partly_accepted")
            assert (record.n_accepted > 0) == was_accepted
        assert editor.outcomes.count(None) <= 1
    assert len(editor.records) <= editor.n_offered
    editor.counter.end()
    assert None not in editor.outcomes


def test_in_a_text_of_great_length_nothing_is_counted():
    """Fifty of its copies would be kept."""
    editor = CountedEditor("x" * MAX_DOCUMENT_CHARS, "\n")
    editor.show("accepted")
    editor.insert("accepted")
    assert editor.records == {}
