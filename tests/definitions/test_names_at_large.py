"""Names that exist nowhere, where others begin as they do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.definitions.existing_names import existing_names, missing_name
from tests.definitions.small_repository import index_of

SHOP = {
    "shop/errors.py": "class NoSuchOption(Exception): ...\nclass BadParameter(Exception): ...\n",
    "shop/web.ts": "export class NoSuchPage {}\n",
}
FILE = """\
from shop.protocol import RememberResult

class Shop:
    def keep(self, result: RememberResult, remembered): ...  # Remembrances

"""


def missing(prefix, suggestion, suffix="\n", **more):
    return missing_name(index_of(SHOP), "app.py", FILE + prefix, suggestion, suffix, **more)


@pytest.mark.parametrize(
    ("prefix", "suggestion", "name", "start", "instead"),
    [
        ("    def f(self) -> Rememb", "ranceResult:", "RemembranceResult", -6, {"RememberResult"}),
        ("    def f(a: Rem", "ember): ...", "Remember", -3, {"RememberResult"}),
        ("x = f(rem", "inder(1))", "reminder", -3, {"remembered"}),
        ("x = [rem", "inder, 1]", "reminder", -3, {"remembered"}),
        ("if a in rem", "inders:", "reminders", -3, {"remembered"}),
        ("raise NoS", "uchOptionError(x)", "NoSuchOptionError", -3, {"NoSuchOption"}),
        ("raise ", "NoSuchOptionError(x)", "NoSuchOptionError", 0, {"NoSuchOption"}),
        ("except ", "BadParameterError as e:", "BadParameterError", 0, {"BadParameter"}),
        ("raise Val", "ueFault(x)", "ValueFault", -3, {"ValueError"}),
        ("def f():\n    ", "x = 1\n    return NoSuchOptions(x)", "NoSuchOptions", 17, None),
    ],
)
def test_a_name_that_others_begin_like_is_found(prefix, suggestion, name, start, instead):
    found = missing(prefix, suggestion)
    assert found is not None
    assert (found.name, found.start) == (name, start)
    assert existing_names(index_of(SHOP), found) == (instead or {"NoSuchOption"})


@pytest.mark.parametrize(
    ("prefix", "suggestion"),
    [
        ("Rem", "inder = 1"),
        ("x, Rem", "inder = 1, 2"),
        ("def Rem", "inder(): ..."),
        ("def f(a, Rem", "inder): ..."),
        ("def f(Rem", "inder: int): ..."),
        ("class Rem", "inder: ..."),
        ("for Rem", "inder in x:"),
        ("for a, Rem", "inder in x:"),
        ("x = [a for Rem", "inder in y]"),
        ("x = lambda a, Rem", "inder: 1"),
        ("with a as Rem", "inder:"),
        ("import Rem", "inder"),
        ("global Rem", "inder"),
        ("if (Rem", "inder := 1):"),
        ("f(Rem", "inder=1)"),
        ("f(Rem", "inder"),  # the name of an argument, perhaps
        ("f(\n    Rem", "inder,\n)"),  # a parameter, perhaps
        ("a.Rem", "inder()"),
        ("x = 'return Rem", "inder(1)'"),
        ("x = 1  # return Rem", "inder(1)"),
        ("return Rem", "inder(1) + Reminder"),  # made by the suggestion, perhaps
        ("return Re", "minder(1)"),  # two letters may be any name's
        ("return xyz", "Reminder(1)"),  # no other begins so
        ("return Ord", "eredDict()"),  # of Python's library
        ("raise Val", "ueError(x)"),
        ("raise ", "NoSuchPageError()"),  # the other is of another language
        ("raise ", "BadNews()"),
        ("return Remembered", "Result()"),
    ],
)
def test_what_may_exist_or_is_being_made_is_not_missing(prefix, suggestion):
    assert missing(prefix, suggestion) is None


def test_a_word_that_is_not_complete_or_was_just_written_is_not_judged():
    prefix, rest = "    def f(self) -> Rememb", "ranceResult"
    assert missing(prefix, rest) is not None
    assert missing(prefix, rest, is_whole=False) is None
    assert missing(prefix, rest, "s:\n") is None
    assert missing(prefix, rest, new_words=frozenset(("RemembranceResult",))) is None


def test_a_star_import_from_elsewhere_may_bring_any_name():
    assert missing("from elsewhere import *\nraise ", "NoSuchOptionError(x)") is None
    assert missing("from shop.errors import *\nraise ", "NoSuchOptionError(x)") is not None


def test_an_edited_index_over_another_has_the_names_of_both():
    below = index_of(SHOP)
    above = type(below).over(below)
    above.put("shop/more.py", "def NoSuchShop(): ...\n")
    assert set(above.beginning_with("NoS", ".py")) == {"NoSuchOption", "NoSuchShop"}
    assert set(above.beginning_with("NoS", ".ts")) == {"NoSuchPage"}


NAMES = st.from_regex(r"[a-z]{4,8}", fullmatch=True)
USES = st.sampled_from(
    ["return {0}", "f({0}, 1)", "x = {0}", "raise {0}(1)", "if not {0}:", "def f(a: {0}): ..."]
)


@given(NAMES, USES, st.lists(NAMES, max_size=4), st.integers(0, 4))
def test_no_name_that_the_file_has_is_refused(name, use, others, n_typed):
    known = "\n".join(f"{one} = 1" for one in [*others, name])
    before, _, after = use.partition("{0}")
    prefix = f"{known}\n{before}{name[:n_typed]}"
    rest = name[n_typed:] + after.format(name)
    assert missing_name(index_of(SHOP), "app.py", prefix, rest, "\n") is None
