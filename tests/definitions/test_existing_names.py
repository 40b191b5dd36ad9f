"""Names that do not exist where a suggestion takes them from, and those that may."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.definitions.existing_names import (
    MissingName,
    existing_names,
    missing_name,
    words_of,
)
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.lacking import DYNAMIC
from longllama_code.definitions.name_uses import is_identifier
from tests.definitions.small_repository import index_of

SHOP = {
    "shop/__init__.py": "from .cart import Cart\nfrom .errors import *\n",
    "shop/cart.py": """\
        import math
        from enum import Enum

        LIMIT = 3

        class Colour(Enum):
            RED = 1

        class Cart:
            def __init__(self): self.items = []
            def add(self, item): ...

        def total(cart): return sum(cart.items)

        for FIRST, (SECOND, *REST) in []: ...
        with open("x") as HANDLE: ...
        if (WALRUS := 1): ...
        def setup():
            global LATER
            LATER = 1
    """,
    "shop/errors.py": "class ShopError(Exception): ...\nclass NoSuchItem(ShopError): ...\n",
    "shop/lazy.py": "def __getattr__(name): ...\n",
    "shop/patched.py": "globals().update(a=1)\n",
    "shop/starred.py": "from elsewhere import *\n",
    "shop/till/__init__.py": "",
    "shop/till/drawer.py": "def open_drawer(): ...\n",
    "scripts/run.py": "import helpers\n",
    "scripts/helpers.py": "def help_out(): ...\n",
}
IMPORTING = (
    "import shop.cart\nfrom shop import cart, till\nimport shop\nfrom shop.cart import Colour\n"
)


def missing(prefix: str, suggestion: str, suffix: str = "\n", path: str = "app.py", **more):
    return missing_name(index_of(SHOP), path, prefix, suggestion, suffix, **more)


@pytest.mark.parametrize(
    ("prefix", "suggestion", "name", "start", "path"),
    [
        ("from shop.cart import ", "Crat", "Crat", 0, "shop/cart.py"),
        ("from shop.cart import Cart, ", "Basket", "Basket", 0, "shop/cart.py"),
        ("from shop.cart import (\n  Cart,  # a, B\n", "  Basket,\n)", "Basket", 2, "shop/cart.py"),
        ("from shop.ca", "rt import Basket as B", "Basket", 10, "shop/cart.py"),
        ("from shop.cart import Bas", "ket", "Basket", -3, "shop/cart.py"),
        ("", "from shop.errors import NoSuchItemError", "NoSuchItemError", 24, "shop/errors.py"),
        ("from shop import ", "NoSuchItemError", "NoSuchItemError", 0, "shop/__init__.py"),
        (IMPORTING + "cart.", "totals(x)", "totals", 0, "shop/cart.py"),
        (IMPORTING + "x = ", "shop.cart.Totals", "Totals", 10, "shop/cart.py"),
        (IMPORTING + "shop.", "till.drawer.shut()", "shut", 12, "shop/till/drawer.py"),
        (IMPORTING + "x = f'{cart.", "totals(1)}'", "totals", 0, "shop/cart.py"),
        (IMPORTING + "return Colour.", "PURPLE", "PURPLE", 0, "shop/cart.py"),
    ],
)  # fmt: skip
def test_a_name_that_a_module_or_class_lacks_is_found(prefix, suggestion, name, start, path):
    found = missing(prefix, suggestion)
    assert found is not None
    assert (found.name, found.start, found.path) == (name, start, path)


def test_an_identifier_may_stand_at_the_beginning_of_a_text():
    assert is_identifier("cart.total\n", 0)
    assert not is_identifier("'cart'\n", 1)


def test_modules_beside_a_script_are_known():
    found = missing("import helpers\nhelpers.", "help_in()", path="scripts/run.py")
    assert found == MissingName("help_in", 0, "scripts/helpers.py")
    elsewhere = missing("import helpers\nhelpers.", "help_in()", path="app.py")
    assert elsewhere is None  # it may be a package that is installed


@pytest.mark.parametrize(
    ("prefix", "suggestion"),
    [
        *(("from shop.cart import ", name) for name in ("Cart", "LIMIT", "total", "math", "LATER")),
        *(("from shop.cart import ", name) for name in ("FIRST", "SECOND", "REST", "WALRUS")),
        ("from shop.cart import ", "HANDLE as Basket, __doc__"),
        ("from shop import ", "ShopError, NoSuchItem, till, cart, lazy"),
        ("from shop import ", "generated"),  # a module that the index may not have
        *((f"from shop.{name} import ", "Anything") for name in ("lazy", "patched", "starred")),
        ("from shop.unknown import ", "Anything"),
        ("from elsewhere import ", "Anything"),
        (IMPORTING + "cart.", "total(x)"),
        (IMPORTING + "x = ", "shop.till.drawer.open_drawer()"),
        (IMPORTING + "x = '", "cart.totals'"),
        (IMPORTING + "x = 1  # ", "cart.totals"),
        (IMPORTING + '"""\n', "cart.totals"),
        (IMPORTING + "return Colour.", "RED"),
        (IMPORTING + "return Colour.", "RED.value"),
        (IMPORTING + "return Colour.", "__members__"),
        (IMPORTING + "def f(cart):\n    cart.", "totals"),
        (IMPORTING + "for cart in carts:\n    cart.", "totals"),
        (IMPORTING + "cart = Cart()\ncart.", "totals"),
        (IMPORTING + "with open() as cart:\n    cart.", "totals"),
        (IMPORTING + "monkeypatch.setattr(cart, 'totals', 1)\ncart.", "totals"),
        (IMPORTING + "cart.totals = 1\nx = ", "cart.totals"),
        ("self.cart.", "totals"),
    ],
)
def test_what_exists_or_may_exist_is_not_missing(prefix, suggestion):
    assert missing(prefix, suggestion) is None


def test_a_word_that_is_not_complete_is_not_judged():
    prefix = "from shop.cart import "
    assert missing(prefix, "Car", is_whole=False) is None
    assert missing(prefix, "Car", "t\n") is None
    assert missing(prefix, "Car, tot", is_whole=False) is not None  # the first one is


def test_what_was_written_a_short_while_ago_exists():
    new = words_of(["def brand_new(): ...\n"])
    assert missing("from shop.cart import ", "brand_new", new_words=new) is None
    assert missing("from shop.cart import ", "brand_new") is not None


def test_other_languages_are_left_alone():
    assert missing("from shop.cart import ", "Crat", path="app.rb") is None
    assert missing("import {", "Crat} from './cart'", path="app.ts") is None


def test_a_module_of_which_the_index_has_a_part_lacks_nothing():
    index = DefinitionIndex()
    index.put("big.py", "x = 1\n" * 50_000)
    assert missing_name(index, "app.py", "from .big import ", "Crat", "\n") is None


def test_what_may_stand_there_instead():
    index = index_of(SHOP)
    of_module = existing_names(index, MissingName("Crat", 0, "shop/cart.py"))
    assert {"Cart", "Colour", "LIMIT", "total"} <= of_module
    assert not {"add", "math", "RED"} & of_module
    of_package = existing_names(index, MissingName("Crat", 0, "shop/__init__.py"))
    assert {"Cart", "ShopError", "NoSuchItem", "cart", "errors"} <= of_package
    assert "__init__" not in of_package
    assert existing_names(index, MissingName("x", 0, "shop/cart.py", "Colour")) == {"RED"}


NAMES = st.from_regex(r"[A-Za-z_]{1,8}", fullmatch=True)
STATEMENTS = st.sampled_from(
    [
        "{0} = 1",
        "def {0}(): ...",
        "class {0}: ...",
        "import {0}",
        "from x import y as {0}",
        "for {0} in []: ...",
        "[{0} := 1]",
        "try: ...\nexcept E as {0}: ...",
        "with f() as ({0}, z): ...",
        "def f():\n    global {0}\n    {0} = 1",
        "match x:\n    case {{'k': {0}}}: ...",
        "if TYPE_CHECKING:\n    {0}: int",
        "del {0}",
        "__all__ = ['{0}']",
    ]
)
MODULES = st.lists(st.tuples(STATEMENTS, NAMES), min_size=1, max_size=6)


@given(MODULES, st.data())
def test_no_name_of_a_module_is_ever_refused(module, data):
    text = "\n".join(statement.format(name) for statement, name in module)
    index = index_of({"pkg/mod.py": text})
    name = data.draw(st.sampled_from([name for _, name in module]))
    n_typed = data.draw(st.integers(0, len(name)))
    for prefix in ("from pkg.mod import ", "import pkg.mod\npkg.mod.", "from pkg import mod\nmod."):
        typed, rest = prefix + name[:n_typed], name[n_typed:]
        assert missing_name(index, "app.py", typed, rest, "\n") is None


@given(MODULES, NAMES)
def test_a_name_that_stands_nowhere_is_refused_wherever_nothing_is_dynamic(module, name):
    text = "\n".join(statement.format(one) for statement, one in module)
    words = set(re.findall(r"\w+", text))
    found = missing_name(index_of({"pkg/mod.py": text}), "app.py", "from pkg.mod import ", name, "")
    expected = name not in words and not words & DYNAMIC and not name.startswith("__")
    if re.fullmatch(r"_+|as|import|from", name) is None:
        assert (found is not None) == expected


@pytest.mark.parametrize("piece", ["cart: ", "for ", "as ", "(", "cart\n", "from (", "import "])
def test_a_long_line_takes_no_longer_than_many_short_ones(piece):
    start = time.process_time()
    missing(f"{IMPORTING}{piece * 100_000}\n", "cart.absent")
    assert time.process_time() - start < 15  # what is quadratic takes minutes


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_no_text_breaks_it(prefix, suggestion, suffix):
    missing(prefix, suggestion, suffix)
    missing(f"from shop.cart import ({prefix}", suggestion, suffix)
    missing(f"{IMPORTING}{prefix}cart.", suggestion, suffix)
