"""What a cursor needs of a repository: what is chosen, why, and that it stays while one types."""

import re
import time
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.definitions.choice import choose
from longllama_code.definitions.chosen import Chosen
from longllama_code.definitions.cursor_text import cursor_text
from longllama_code.definitions.fitting import Block, fit
from longllama_code.definitions.index import DefinitionIndex
from tests.definitions.small_repository import index_of

FILES = {
    "shop/store.py": """
LIMIT = 10

class Keeper:
    def __init__(self, name: str):
        self.name = name

    def lock(self) -> "Lock": ...

    def _hidden(self): ...

class Store(Keeper):
    def __init__(self, path: str):
        self.path = path
        self.items: list[Item] = []

    @classmethod
    def opened(cls, path: str) -> "Store": ...

    def put(self, item: "Item", *, again: bool = False) -> int: ...

    def first(self) -> "Item": ...

class Item:
    price: int = 0
    def sold(self): ...

class Lock:
    def release(self): ...

def open_store(path: str) -> Store: ...
""",
    "shop/tools.py": "def rounded(x): ...\n\ndef _own(): ...\n",
    "shop/__init__.py": "from .store import Store, open_store\n",
    "shop/graph_view.py": "class GraphView:\n    def draw_all(self): ...\n",
    "other/far.py": "class Far:\n    def away(self): ...\n",
}
PATH = "shop/till.py"


@pytest.fixture(scope="module")
def index() -> DefinitionIndex:
    found = DefinitionIndex()
    for path, text in FILES.items():
        found.put(path, text)
    return found


def count(text: str) -> int:
    """Tokens, about."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def chosen(index: DefinitionIndex, text: str, path: str = PATH) -> list[Chosen]:
    prefix, _, suffix = text.partition("|")
    return choose(index, path, prefix, suffix)


def first_names(index: DefinitionIndex, text: str, n_names: int = 3) -> list[str]:
    return [one.name for one in chosen(index, text)[:n_names]]


@pytest.mark.parametrize(
    "text",
    [
        "from shop.store import Store\n\ndef f(store: Store):\n    store.|",
        "from shop import Store\n\ndef f(store: 'Optional[Store]'):\n    store.|\n",
        "from .store import Store\n\nstore = Store('x')\nstore.|",
        "import shop.store\n\nstore = shop.store.Store('x')\nstore.|",
        "import shop.store as s\n\nwith s.open_store('x') as it:\n    it.|\n    pass\n",
        "from shop import open_store\n\ndef f():\n    open_store('x').|",
        "from shop import open_store as o\n\ndef f():\n    x = o(1)\n    y = x\n    return y.|",
        "from .store import Store\n\ndef f(many: list[Store]):\n    for x in many:\n        x.|",
        "from .store import Store\n\nclass A:\n    def __init__(self, s: Store):\n"
        "        self.s = s\n\n    def f(self):\n        self.s.|\n",
        "from .store import Store\nclass A:\n    s: Store\n    def f(self):\n        (self.s).|",
        "from .store import Store\n\ndef make():\n    return Store(1)\n\ndef f():\n    make().|",
        "from .store import *\n\nclass A(Store):\n    def f(self):\n        self.|\n",
        "from .store import Store\n\nclass A(Store):\n    def f(self):\n        super().|\n",
        "from .store import Store\n\ndef f(x):\n    if isinstance(x, Store):\n        x.|\n",
        "def f(store):\n    store.|\n",
        "def f(the_store):\n    the_store.|\n",
        "def f(x):\n    x.put(1)\n    x.first()\n    x.|\n",
    ],
)
def test_members_of_the_class_before_the_dot_are_wanted_most(
    index: DefinitionIndex, text: str
) -> None:
    most = chosen(index, text)[:8]
    assert {"Store.put", "Store.first"} <= {one.name for one in most}
    assert all("cursor" in one.reason for one in most)


def test_inherited_members_are_wanted(index: DefinitionIndex) -> None:
    found = chosen(index, "from shop import Store\n\ndef f(s: Store):\n    s.|")
    lock = next(one for one in found if one.name == "Keeper.lock")
    assert lock.heads == ((4, "class Keeper:"),)


def test_members_of_what_a_member_returns_are_wanted(index: DefinitionIndex) -> None:
    assert "Lock.release" in first_names(index, "from shop import Store\nStore('x').lock().|")
    assert "Item.sold" in first_names(index, "from shop import Store\nStore('x').items[0].|")


def test_of_a_module_its_definitions_are_wanted(index: DefinitionIndex) -> None:
    assert first_names(index, "from shop import tools\n\ntools.|", 1) == ["rounded"]
    assert "rounded" in first_names(index, "from .tools import |", 1)
    assert "rounded" in first_names(index, "from .tools import (\n    a,\n    |\n)\n", 1)


def test_what_is_called_is_wanted(index: DefinitionIndex) -> None:
    text = "from shop import *\nfrom .tools import rounded\n\nx = rounded(3, |"
    (first,) = chosen(index, text)[:1]
    assert (first.name, first.reason) == ("rounded", "what is called: rounded")


def test_fields_are_the_arguments_of_a_class_without_a_constructor() -> None:
    index = index_of(
        {
            "commands.py": """
            @dataclass
            class Command:
                view: View

                def undo(self): ...

            @dataclass
            class Move(Command):
                steps: int
                later: bool = False
                limit = 3

                def redo(self): ...

            class Stored(Command):
                size: int

                def __init__(self, path): ...
            """
        }
    )
    found = chosen(index, "from commands import Move\ncommand = Move(self.|", "panel.py")
    names = [one.name for one in found]
    assert names[:4] == ["Move", "Move.steps", "Move.later", "Command"]
    assert names.index("Command.view") < names.index("Move.redo")
    assert names.index("Command.view") < names.index("Move.limit")
    assert {one.reason for one in found[:4]} == {"what is called: Move"}
    found = chosen(index, "from commands import Stored\ncommand = Stored(|", "panel.py")
    names = [one.name for one in found]
    assert names.index("Stored.__init__") < names.index("Stored.size")


def test_of_the_class_itself_what_is_asked_of_classes_is_wanted(index: DefinitionIndex) -> None:
    names = [one.name for one in chosen(index, "from shop import Store\nx = Store.|")]
    assert names.index("Store.opened") < names.index("Store.put")
    names = [one.name for one in chosen(index, "from shop import Store\nx: Store\nx.|")]
    assert names.index("Store.put") < names.index("Store.opened")


def test_what_is_imported_and_not_used_yet_comes_before_what_is(index: DefinitionIndex) -> None:
    text = "from .tools import rounded\nfrom .store import open_store\n\nx = rounded(1)\ny = |"
    assert first_names(index, text, 2) == ["open_store", "rounded"]


def test_what_is_visible_anyhow_is_not_repeated(index: DefinitionIndex) -> None:
    text = "class Near:\n    def here(self): ...\n\nx: Near\nx.|"
    assert not chosen(index, text)
    far = "class Near:\n    def here(self): ...\n" + "# far away\n" * 500 + "x: Near\nx.|"
    assert "Near.here" in first_names(index, far)


def test_what_a_test_is_of_is_wanted(index: DefinitionIndex) -> None:
    found = chosen(index, "def test_far():\n    |", "tests/test_far.py")
    assert "Far.away" in {one.name for one in found}
    assert not chosen(index, "def test_far():\n    |", "tests/far_checks.py")


def test_names_with_an_underscore_are_not_shown_for_import(index: DefinitionIndex) -> None:
    names = [one.name for one in chosen(index, "from shop.tools import |")]
    assert "rounded" in names
    assert "_own" not in names


def test_own_text_counts_before_what_the_index_has_of_the_file(index: DefinitionIndex) -> None:
    over = DefinitionIndex.over(index)
    over.put(PATH, "class Old:\n    def gone(self): ...\n")
    text = "class New:\n    def here(self): ...\n" + "# far away\n" * 500 + "x: New\nx.|"
    assert not [one for one in chosen(over, text) if one.name == "Old.gone"]


WORDS = st.sampled_from(["first", "put_again", "lock2", "_x", "x" * 60])
CURSORS = st.sampled_from(
    [
        "from shop import Store\n\ndef f(store: Store):\n    store.",
        "from shop import *\n\nclass A(Store):\n    def f(self):\n        ",
        "from .tools import rounded\n\nx = rounded(",
        "from .tools import ",
        "def f(store):\n    for one in store.items:\n        one.",
    ]
)


@settings(max_examples=60, deadline=None)
@given(CURSORS, WORDS, st.sampled_from(["", "\n", "\n\ndef g(): ...\n"]))
def test_the_choice_stays_while_an_identifier_is_typed(
    index: DefinitionIndex, prefix: str, word: str, suffix: str
) -> None:
    before = choose(index, PATH, prefix, suffix)
    for end in range(1, len(word) + 1):
        assert choose(index, PATH, prefix + word[:end], suffix) == before


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("storeSf .()[]:=,\n\t'\"@#\\\ud800é\0->?"), max_size=200),
    st.integers(0, 200),
)
def test_any_text_gets_a_choice_and_always_the_same(
    index: DefinitionIndex, text: str, at: int
) -> None:
    whole = "from shop.store import *\n" + text
    prefix, suffix = whole[: 25 + at], whole[25 + at :]
    found = choose(index, PATH, prefix, suffix)
    assert found == choose(index, PATH, prefix, suffix)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    fit(found, count, 100)


@settings(max_examples=30, deadline=None)
@given(st.permutations(sorted(FILES)))
def test_the_choice_does_not_depend_on_the_order_of_files(
    index: DefinitionIndex, order: list[str]
) -> None:
    text = "from shop import *\n\ndef f(store, graph_view):\n    graph_view.|"
    other = DefinitionIndex()
    for path in order:
        other.put(path, FILES[path])
    assert chosen(other, text) == chosen(index, text)


def test_names_that_lead_back_to_themselves_end(index: DefinitionIndex) -> None:
    text = "class A(B): ...\nclass B(A): ...\nx = y\ny = x\ndef f(): return f()\nf().x.|"
    chosen(index, text)
    chosen(index, text.replace("f().x.", "x."))
    chosen(index, text.replace("f().x.", "B()."))


def test_choosing_does_not_take_longer_in_a_large_repository() -> None:
    """Three thousand files that all define the same names as well."""
    index = DefinitionIndex()
    for number in range(3000):
        index.put(
            f"p{number}/m.py", "class Store:\n    def put(self): ...\n    def get(self): ...\n"
        )
    text = "def f(store):\n    store.put(1)\n    store.|"
    assert chosen(index, text)
    used_s = timeit.repeat(lambda: chosen(index, text), timer=time.process_time, number=1, repeat=5)
    assert min(used_s) < 0.1


def test_around_a_cursor_the_expression_is_found_back_over_calls() -> None:
    cases = {
        "a.b.": ("a", "b"),
        "x = f(a.b(1, 'c').": ("a", "b"),
        "return self.items[0](2).": ("self", "items"),
        "(await self.store).": ("self", "store"),
        "a\n    .b()\n    .": ("a", "b"),
        "a::b->": ("a", "b"),
        "x = 3 + a?.": ("a",),
        "'text'.": (),
        "f(": (),
        ".": (),
        "": (),
    }
    for prefix, receiver in cases.items():
        assert cursor_text(prefix, "").receiver == receiver, prefix
        assert cursor_text(prefix + "typed", "").receiver == receiver, prefix


def test_around_a_cursor_the_open_calls_are_found() -> None:
    assert cursor_text("x = f(g(1), h.i(2, [3, ", "").calls == (("h", "i"), ("f",))
    assert cursor_text("if (a and (b", "").calls == ()


# What fits.


def made(name: str, score: float, shown: str = "", path: str = "a.py", line: int = 1) -> Chosen:
    return Chosen(path, name, "function", shown or f"def {name}(): ...", line, line, "", score)


def texts(blocks: list[Block]) -> str:
    return "\n".join(block.text for block in blocks)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 30)), max_size=30),
    st.integers(0, 200),
)
def test_blocks_are_within_the_budget_and_say_what_they_cost(
    parts: list[tuple[int, int, int]], budget: int
) -> None:
    score = [
        made(f"f{number}", -number, "word " * size, f"{file}.py", line)
        for number, (file, line, size) in enumerate(parts)
    ]
    blocks = fit(score, count, budget)
    assert sum(block.n_tokens for block in blocks) <= budget
    assert len({block.path for block in blocks}) == len(blocks)
    for block in blocks:
        assert count(f"{block.path}\n{block.text}\n") <= block.n_tokens
        assert all(one.shown in block.text for one in block.chosen)


def test_the_most_wanted_file_comes_last_and_lines_in_order() -> None:
    parts = [
        made("b2", 3, path="b.py", line=9),
        made("a1", 2, path="a.py"),
        made("b1", 1, path="b.py", line=2),
    ]
    blocks = fit(parts, count, 100)
    assert [block.path for block in blocks] == ["a.py", "b.py"]
    assert blocks[-1].text == "def b1(): ...\ndef b2(): ..."
    assert [one.name for one in blocks[-1].chosen] == ["b2", "b1"]


def test_of_a_class_that_is_too_long_what_is_wanted_most_is_kept(index: DefinitionIndex) -> None:
    found = chosen(index, "from shop import Store\n\ndef f(s: Store):\n    s.|")
    text = texts(fit(found, count, 45))
    assert "class Store(Keeper):" in text
    assert "self.items" in text
    assert "open_store" not in text
    assert "def put" not in text
    assert "def put" in texts(fit(found, count, 150))


def test_a_constructor_is_followed_by_what_it_sets(index: DefinitionIndex) -> None:
    found = chosen(index, "from shop import Store\n\ndef f(s: Store):\n    s.|")
    text = texts(fit(found, count, 400))
    assert "    def __init__(self, path: str):\n        self.path = path\n" in text
    assert 'def first(self) -> "Item": ...' in text


def test_what_is_too_large_is_left_out_and_the_next_one_taken() -> None:
    parts = [made("big", 2, "x " * 100), made("small", 1)]
    assert [one.name for block in fit(parts, count, 40) for one in block.chosen] == ["small"]
