"""What a file's prompts begin with: when other excerpts take the place of those that serve."""

from dataclasses import replace

from longllama_code.definitions.chosen import Chosen
from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.prompting.prepared_prompt import (
    Choice,
    Excerpts,
    FileReading,
    Fit,
    Place,
    Prepared,
    Wanted,
    keys_of,
)
from longllama_code.generation.prompting.prompt import Excerpt
from tests.code_model import code_model


def excerpt(path: str, shown: str) -> Excerpt:
    return Excerpt(path, shown, (Chosen(path, shown[:3], "constant", shown, 1, 1, "it is", 1.0),))


ONE, TWO, THREE, FOUR = (
    excerpt(path, text)
    for path, text in (
        ("a.py", "def one(): ..."),
        ("b.py", "two = 2"),
        ("c.py", "three = 3"),
        ("d.py", "four = 4"),
    )
)


def wanted(*excerpts: Excerpt, needed: Excerpts | None = None) -> Wanted:
    chosen = [each for one in excerpts for each in one.chosen]
    needs = keys_of(excerpts if needed is None else needed)
    return Wanted(excerpts, needs, {each.key: each for each in chosen})


def choice(*of_cursor: Excerpt, of_file: Excerpts = (), needed: Excerpts | None = None) -> Choice:
    """What the repository has to show: of the cursor's, what the file's do not show anyhow."""

    def for_cursor(shown: Excerpts) -> Wanted:
        wants = wanted(*of_cursor, needed=needed)
        return replace(wants, excerpts=tuple(one for one in of_cursor if one not in shown))

    return Choice(lambda: wanted(*of_file), for_cursor)


def begun() -> FileReading:
    return FileReading(lambda: Decoder(code_model().model))


def unread(n: int) -> Fit:
    return Fit(Place("", ""), 0, n)


def costly(_: Prepared) -> Fit:
    return unread(1000)


def cheap(_: Prepared) -> Fit:
    return unread(1)


def never() -> Wanted:
    raise AssertionError("nothing needs to be chosen")


NEVER = Choice(never, lambda _: never())


def test_what_is_wanted_is_shown_where_all_is_to_be_read_anyway() -> None:
    reading = begun()
    assert reading.renew(choice(ONE, TWO), costly).excerpts == (ONE, TWO)
    assert reading.renew(choice(TWO, THREE), costly).excerpts == (TWO, THREE)


def test_excerpts_that_are_still_wanted_stay_in_front() -> None:
    reading = begun()
    reading.renew(choice(ONE, TWO), costly)
    assert reading.renew(choice(THREE, TWO), costly).excerpts == (TWO, THREE)


def test_another_order_is_no_reason_to_read_anew() -> None:
    reading = begun()
    before = reading.renew(choice(ONE, TWO), costly)
    assert reading.renew(choice(TWO, ONE), costly) is before
    assert before.excerpts == (ONE, TWO)


def test_typing_goes_on_with_what_was_read_and_nothing_is_chosen() -> None:
    reading = begun()
    reading.renew(choice(ONE), costly)
    assert reading.renew(NEVER, cheap).excerpts == (ONE,)
    assert reading.renew(choice(ONE, TWO), costly).excerpts == (ONE, TWO)


def test_what_the_file_uses_stays_in_front_wherever_the_cursor_goes() -> None:
    reading = begun()
    reading.open(choice(of_file=(ONE, TWO)))
    first = reading.renew(choice(THREE, of_file=(ONE, TWO)), costly)
    assert first.excerpts == (ONE, TWO, THREE)
    second = reading.renew(choice(FOUR, TWO, of_file=(TWO, FOUR)), costly)
    assert second.excerpts == (ONE, TWO, FOUR)


def test_what_the_file_uses_is_chosen_by_its_first_request_where_nobody_did_before() -> None:
    reading = begun()
    assert reading.renew(choice(THREE, of_file=(ONE,)), costly).excerpts == (ONE, THREE)
    ahead = begun()
    assert ahead.prepare(choice(THREE, of_file=(ONE,))).excerpts == (ONE, THREE)
    assert ahead.current.excerpts == (ONE, THREE)


def test_what_is_not_said_any_more_is_not_shown() -> None:
    reading = begun()
    reading.renew(choice(THREE, of_file=(ONE, TWO)), costly)
    reading.drop(lambda one: one != ONE)
    assert reading.current.excerpts == (TWO, THREE)
    # What is left serves no longer as what was chosen, however little is to be read.
    assert reading.renew(choice(FOUR, of_file=(ONE, TWO)), cheap).excerpts == (TWO, FOUR)


def test_what_was_read_beside_serves_once_it_costs_little() -> None:
    reading = begun()
    first = reading.renew(choice(ONE), costly)
    beside = reading.prepare(choice(ONE, TWO))
    assert beside is not first
    assert reading.prepare(choice(ONE, TWO)) is beside  # it goes on where it was interrupted
    assert (
        reading.renew(choice(ONE, TWO), lambda each: unread(1 if each is first else 999)) is first
    )
    assert reading.renew(choice(ONE, TWO), cheap) is beside
    assert reading.current is beside


def test_where_all_is_to_be_read_the_beginning_read_beside_is_taken() -> None:
    reading = begun()
    reading.renew(choice(ONE), costly)
    beside = reading.prepare(choice(ONE, TWO))
    assert reading.renew(choice(ONE, TWO), costly) is beside


def test_what_is_read_beside_begins_with_what_the_file_uses() -> None:
    reading = begun()
    reading.renew(choice(TWO, of_file=(ONE,)), costly)
    assert reading.prepare(choice(THREE, of_file=(FOUR,))).excerpts == (ONE, THREE)


def test_what_is_wanted_least_is_no_reason_to_read_anew() -> None:
    reading = begun()
    before = reading.renew(choice(ONE, TWO), costly)
    assert reading.renew(choice(ONE, THREE, needed=(ONE,)), costly) is before
    assert before.excerpts == (ONE, TWO)
    assert reading.prepare(choice(ONE, THREE, needed=(ONE,))) is before


def test_a_file_that_uses_other_things_than_before_begins_with_them_once_they_are_read() -> None:
    reading = begun()
    assert reading.open(choice(of_file=(ONE,))) is reading.current
    before = reading.renew(choice(of_file=(ONE,)), costly)
    assert reading.open(choice(of_file=(ONE,))) is before
    beside = reading.open(choice(of_file=(ONE, TWO)))
    assert beside.excerpts == (ONE, TWO)
    assert reading.open(choice(of_file=(TWO,))) is beside
    assert reading.renew(choice(), lambda each: unread(1000 if each is beside else 900)) is before
    assert reading.renew(choice(), lambda each: unread(800 if each is beside else 900)) is beside


def test_why_a_definition_is_wanted_is_told_as_it_is_now() -> None:
    reading = begun()
    reading.renew(choice(TWO, of_file=(ONE,)), costly)
    now = [
        replace(each, chosen=(replace(each.chosen[0], reason="it stands before the dot"),))
        for each in (ONE, TWO)
    ]
    reasons = {each.key: each for one in now for each in one.chosen}
    current = reading.renew(Choice(never, lambda _: Wanted((TWO,), reasons=reasons)), costly)
    assert {one.chosen[0].reason for one in current.excerpts} == {"it stands before the dot"}
