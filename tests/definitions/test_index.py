"""An index of definitions: what it finds, whatever the order in which files came and went."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.definitions.files import FreshFacts
from longllama_code.definitions.index import CONFIGURATION, DefinitionIndex
from longllama_code.definitions.languages import language_of

FILES = {
    "src/shop/__init__.py": "from .store import Store as Shop\nfrom .prices import *\n",
    "src/shop/store.py": "from . import prices\n\nclass Store:\n    def put(self): ...\n",
    "src/shop/prices.py": "def price(): ...\ndef _hidden(): ...\n",
    "src/shop/till/__init__.py": "",
    "src/shop/till/drawer.py": "from ..store import Store\nfrom shop import Shop, price\n",
    "src/shop/json.py": "def dumps(): ...\n",
    "tools/run.py": "import shop.store\nimport json\nfrom helpers import help_out\n",
    "tools/helpers.py": "def help_out(): ...\n",
    "space/part/one.py": "ONE = 1\n",
    "loop/a.py": "from loop.b import name\n",
    "loop/b.py": "from loop.a import name\n",
    "loop/c.py": "from loop.c import *\n",
}
PATHS = st.sampled_from(sorted(FILES))
TEXTS = st.sampled_from([*FILES.values(), "class Store: ...\n", "x = (", ""])
CHANGES = st.lists(st.tuples(PATHS, st.none() | TEXTS), max_size=12)


@pytest.fixture
def index() -> DefinitionIndex:
    return filled(FILES)


def filled(files: dict[str, str]) -> DefinitionIndex:
    found = DefinitionIndex()
    for path, text in files.items():
        found.put(path, text)
    return found


def targets(index: DefinitionIndex, path: str) -> dict[str, Sequence[str]]:
    file = index.file(path)
    assert file is not None
    return {one.alias: index.targets(path, one) for one in file.facts.imports}


def everything(index: DefinitionIndex) -> object:
    """All that can be asked of an index."""
    names = ("Store", "Shop", "price", "put", "help_out", "dumps", "ONE", "name", "x")
    return (
        index.state,
        [index.has(path) for path in FILES],
        [index.definition(path, name) for path in FILES for name in names],
        [index.defining(name) for name in names],
        [index.n_users(name) for name in names],
        [index.ending(tail) for tail in ("__init__.py", "store.py", "shop/store.py")],
        [index.within(folder) for folder in ("src/shop", "tools", "")],
        [index.with_class(name) for name in ("store", "shop")],
    )


def test_names_are_followed_to_where_they_are_defined(index: DefinitionIndex) -> None:
    found = index.definition("src/shop/__init__.py", "Shop")
    assert found is not None
    path, definition = found
    assert (path, definition.name, definition.kind) == ("src/shop/store.py", "Store", "class")


def test_what_is_handed_on_with_a_star_is_found_but_for_private_names(
    index: DefinitionIndex,
) -> None:
    found = index.definition("src/shop/__init__.py", "price")
    assert found is not None
    assert found[0] == "src/shop/prices.py"
    assert index.definition("src/shop/__init__.py", "_hidden") is None


def test_imports_that_go_round_end(index: DefinitionIndex) -> None:
    assert index.definition("loop/a.py", "name") is None
    assert index.definition("loop/c.py", "name") is None


def test_relative_imports_and_layouts_are_resolved(index: DefinitionIndex) -> None:
    drawer = targets(index, "src/shop/till/drawer.py")
    assert drawer["Store"] == ("src/shop/store.py",)
    assert drawer["Shop"] == ("src/shop/__init__.py",)
    assert targets(index, "src/shop/store.py")["prices"][-1] == "src/shop/prices.py"
    assert targets(index, "tools/run.py")["shop.store"] == ("src/shop/store.py",)
    assert targets(index, "tools/run.py")["help_out"] == ("tools/helpers.py",)


def test_the_standard_library_is_not_mistaken_for_a_module_of_a_package(
    index: DefinitionIndex,
) -> None:
    assert targets(index, "tools/run.py")["json"] == ()
    index.put("tools/json.py", "")
    assert targets(index, "tools/run.py")["json"] == ("tools/json.py",)


def test_a_folder_without_a_file_of_its_own_is_a_package(index: DefinitionIndex) -> None:
    index.put("space/two.py", "from .part.one import ONE\nfrom space.part import one\n")
    found = targets(index, "space/two.py")
    assert found["ONE"] == found["one"] == ("space/part/one.py",)


def test_a_module_of_a_package_is_found_whatever_else_has_the_packages_name() -> None:
    files = {
        "jobs/__init__.py": "def start():\n    from jobs import pools\n",
        "jobs/signals.py": "stopped = 1\n",
        "jobs/pools/__init__.py": "",
        "jobs/pools/threads.py": "from jobs import signals\nfrom jobs import start\n",
    }
    namesakes = ("jobs/bin", "jobs/pools/old", "tests/bin", "tests/app", "demo/a", "demo/b")
    files |= {f"{folder}/__init__.py": "" for folder in namesakes}
    files |= {f"{folder}/jobs.py": "" for folder in namesakes}
    found = targets(filled(files), "jobs/pools/threads.py")
    assert found["signals"][:2] == ("jobs/__init__.py", "jobs/signals.py")
    assert found["start"][0] == "jobs/__init__.py"
    assert targets(filled(files), "jobs/__init__.py")["pools"][0] == "jobs/pools/__init__.py"


def test_a_script_in_a_package_finds_what_lies_beside_it() -> None:
    files = {"app/__init__.py": "", "app/run.py": "import parts\n", "app/parts.py": "ONE = 1\n"}
    assert targets(filled(files), "app/run.py")["parts"] == ("app/parts.py",)


def test_names_that_were_typed_leave_nothing_behind(index: DefinitionIndex) -> None:
    before = pickle.dumps(index)
    for number in range(100):
        index.put(f"typed/folder{number}.py", f"class Typed{number}:\n    attribute{number} = 1\n")
        index.forget(f"typed/folder{number}.py")
    assert len(pickle.dumps(index)) < len(before) + 100


def test_a_new_file_counts_for_imports_that_were_resolved_before(index: DefinitionIndex) -> None:
    index.put("tools/run.py", "from later import thing\n")
    assert targets(index, "tools/run.py")["thing"] == ()
    index.put("tools/later.py", "def thing(): ...\n")
    assert targets(index, "tools/run.py")["thing"] == ("tools/later.py",)


@settings(max_examples=60, deadline=None)
@given(st.permutations(sorted(FILES)))
def test_the_order_of_files_does_not_matter(order: list[str]) -> None:
    assert everything(filled({path: FILES[path] for path in order})) == everything(filled(FILES))


@settings(max_examples=100, deadline=None)
@given(CHANGES)
def test_an_index_is_what_its_files_are_whatever_they_were(
    changes: list[tuple[str, str | None]],
) -> None:
    index, files = filled(FILES), dict(FILES)
    for path, text in changes:
        if text is None:
            index.forget(path)
            files.pop(path, None)
        else:
            index.put(path, text)
            files[path] = text
    assert everything(index) == everything(filled(files))


@settings(max_examples=100, deadline=None)
@given(CHANGES, CHANGES)
def test_an_overlay_is_what_its_files_over_the_others_are(
    changes: list[tuple[str, str | None]], later: list[tuple[str, str | None]]
) -> None:
    """Changes of one user, and some of the base afterwards, where the user has not changed it."""
    base, seen = filled(FILES), dict(FILES)
    index = DefinitionIndex.over(base)
    for path, text in changes:
        if text is None:
            index.forget(path)
            seen.pop(path, None)
        else:
            index.put(path, text)
            seen[path] = text
    own = {path for path, _ in changes}
    for path, text in later:
        if text is not None and path not in own:
            base.put(path, text)
            seen[path] = text
    found, wanted = everything(index), everything(filled(seen))
    assert without_counts(found) == without_counts(wanted)
    for path in own:
        index.restore(path)
    assert everything(index) == everything(base)


def without_counts(found: object) -> object:
    """How many files use a name is known of an overlay nearly alone."""
    assert isinstance(found, tuple)
    return (*found[:4], *found[5:])


def test_what_a_user_changes_nobody_else_sees() -> None:
    base = filled(FILES)
    before = everything(base)
    mine, other = DefinitionIndex.over(base), DefinitionIndex.over(base)
    mine.put("src/shop/store.py", "class Mine: ...\n")
    mine.forget("src/shop/prices.py")
    assert mine.definition("src/shop/store.py", "Mine") is not None
    assert mine.definition("src/shop/store.py", "Store") is None
    assert everything(base) == before
    assert everything(other) == before
    assert mine.state != base.state


def test_a_text_that_is_the_same_is_not_read_again() -> None:
    class Counted(FreshFacts):
        n_read = 0

        def read(self, path: str, text: str):
            self.n_read += 1
            return super().read(path, text)

    facts = Counted()
    index = DefinitionIndex(facts)
    for _ in range(3):
        index.put("a.py", "def f(): ...\n")
    assert facts.n_read == 1


def test_files_of_unknown_languages_are_there_and_say_nothing(tmp_path: Path) -> None:
    index = filled({"notes.txt": "def f(): ...\n"})
    assert index.has("notes.txt")
    assert index.defining("f") == ()


def test_every_file_that_configures_a_language_is_kept() -> None:
    paths = ("a.py", "a.ts", "a.js", "a.go", "a.rs", "A.java", "a.c", "a.cpp")
    languages = [language_of(path) for path in paths]
    assert None not in languages
    named = {name for one in languages if one is not None for name in one.configuration}
    assert named == CONFIGURATION
