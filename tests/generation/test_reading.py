"""What a file's prompts begin with: when other excerpts take the place of those that serve."""

from dataclasses import replace

from longllama_code.definitions.choice import Chosen
from longllama_code.generation.decode import Decoder
from longllama_code.generation.prompt import Excerpt
from longllama_code.generation.reading import FileReading, Prepared, Wanted


def excerpt(path: str, shown: str) -> Excerpt:
    return Excerpt(path, shown, (Chosen(path, shown[:3], "constant", shown, 1, 1, "it is", 1.0),))


def wanted(*excerpts: Excerpt, needed: tuple[Excerpt, ...] | None = None) -> Wanted:
    needs = excerpts if needed is None else needed
    return Wanted(excerpts, frozenset(each.key for one in needs for each in one.chosen))


ONE, TWO, THREE = (
    excerpt(path, text)
    for path, text in (("a.py", "def one(): ..."), ("b.py", "two = 2"), ("c.py", "three = 3"))
)


def begun() -> FileReading:
    return FileReading(lambda: object.__new__(Decoder))


def costly(_: Prepared) -> bool:
    return False


def never() -> Wanted:
    raise AssertionError("nothing needs to be chosen")


def cheap(_: Prepared) -> bool:
    return True


def test_what_is_wanted_is_shown_where_all_is_to_be_read_anyway() -> None:
    reading = begun()
    assert reading.renew(lambda: wanted(ONE, TWO), costly).excerpts == (ONE, TWO)
    assert reading.renew(lambda: wanted(TWO, THREE), costly).excerpts == (TWO, THREE)


def test_excerpts_that_are_still_wanted_stay_in_front() -> None:
    reading = begun()
    reading.renew(lambda: wanted(ONE, TWO), costly)
    assert reading.renew(lambda: wanted(THREE, TWO), costly).excerpts == (TWO, THREE)


def test_another_order_is_no_reason_to_read_anew() -> None:
    reading = begun()
    before = reading.renew(lambda: wanted(ONE, TWO), costly)
    assert reading.renew(lambda: wanted(TWO, ONE), costly) is before
    assert before.excerpts == (ONE, TWO)


def test_typing_goes_on_with_what_was_read_and_nothing_is_chosen() -> None:
    reading = begun()
    reading.renew(lambda: wanted(ONE), costly)
    assert reading.renew(never, cheap).excerpts == (ONE,)
    assert reading.renew(lambda: wanted(ONE, TWO), costly).excerpts == (ONE, TWO)


def test_what_was_read_beside_serves_once_it_costs_little() -> None:
    reading = begun()
    first = reading.renew(lambda: wanted(ONE), costly)
    beside = reading.prepare(wanted(ONE, TWO))
    assert beside is not first
    assert reading.prepare(wanted(ONE, TWO)) is beside  # it goes on where it was interrupted
    assert reading.renew(lambda: wanted(ONE, TWO), lambda prepared: prepared is first) is first
    assert reading.renew(lambda: wanted(ONE, TWO), cheap) is beside
    assert reading.current is beside


def test_what_was_read_beside_for_another_choice_is_let_go() -> None:
    reading = begun()
    reading.renew(lambda: wanted(ONE), costly)
    beside = reading.prepare(wanted(TWO))
    assert reading.prepare(wanted(THREE)) is not beside
    assert reading.prepare(wanted(ONE)) is reading.current
    assert reading.renew(lambda: wanted(ONE), cheap).excerpts == (ONE,)


def test_where_all_is_to_be_read_the_beginning_read_beside_is_taken() -> None:
    reading = begun()
    reading.renew(lambda: wanted(ONE), costly)
    beside = reading.prepare(wanted(ONE, TWO))
    assert reading.renew(lambda: wanted(ONE, TWO), costly) is beside


def test_what_is_wanted_least_is_no_reason_to_read_anew() -> None:
    reading = begun()
    before = reading.renew(lambda: wanted(ONE, TWO), costly)
    assert reading.renew(lambda: wanted(ONE, THREE, needed=(ONE,)), costly) is before
    assert before.excerpts == (ONE, TWO)
    assert reading.prepare(wanted(ONE, THREE, needed=(ONE,))) is before


def test_why_a_definition_is_wanted_is_told_as_it_is_now() -> None:
    reading = begun()
    reading.renew(lambda: wanted(ONE), costly)
    (chosen,) = ONE.chosen
    other = replace(ONE, chosen=(replace(chosen, reason="it stands before the dot"),))
    current = reading.renew(lambda: wanted(other), costly)
    assert current.excerpts[0].chosen[0].reason == "it stands before the dot"
