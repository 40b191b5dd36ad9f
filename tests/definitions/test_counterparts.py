"""What corresponds to the function being written: what it overrides, and its namesakes nearby."""

from longllama_code.definitions.choice import choose, choose_for_file
from longllama_code.definitions.counterparts import counterparts
from longllama_code.definitions.resolving import Location, Resolver
from tests.definitions.small_repository import index_of

FILES = {
    "shop/base.py": """
    class Shelf:
        def put(self, item): ...
        def __init__(self, width): ...

    class Box(Shelf):
        def close(self): ...
    """,
    "shop/memory.py": "def opened(path: str): ...\n\ndef put(x): ...\n",
    "shop/disk.py": "def opened(path: str, size: int): ...\n",
    "shop/zip.py": "def opened(archive): ...\n",
    "far/away/from/here.py": "def opened(door): ...\n",
}
OWN = """
from shop.base import Box

class Drawer(Box):
    def __init__(self):
        pass

    def put(self, item, again):
        pass

def opened(name):
    pass
"""
PATH = "shop/drawer.py"


def found(line: int, path: str = PATH) -> list[tuple[str, str, bool]]:
    index = index_of(FILES)
    resolver = Resolver(index, path, index.live(path, OWN))
    return [
        (one.target.path, one.target.full_name, one.is_overridden)
        for one in counterparts(index, resolver, Location(path, line))
    ]


def line_of(text: str) -> int:
    return OWN[: OWN.index(text)].count("\n") + 2


def test_a_method_is_shown_what_it_overrides_and_no_function_of_its_name() -> None:
    assert found(line_of("def put")) == [("shop/base.py", "Shelf.put", True)]


def test_a_constructor_has_no_counterpart_and_neither_has_what_is_outside_of_functions() -> None:
    assert found(line_of("def __init__")) == []
    assert found(1) == []


def test_a_function_is_shown_its_nearest_namesakes() -> None:
    assert found(line_of("def opened")) == [
        ("shop/disk.py", "opened", False),
        ("shop/memory.py", "opened", False),
    ]
    assert found(line_of("def opened"), "far/away/from/where.py")[0][0] == "far/away/from/here.py"


def test_a_cursor_is_told_why() -> None:
    before, _, after = OWN.partition("        pass\n\ndef opened")
    wanted = choose(index_of(FILES), PATH, before + "        ", "\n\ndef opened" + after)
    (put,) = (one for one in wanted if one.name == "Shelf.put")
    assert put.reason == "what is overridden: Shelf.put of shop/base.py"


def test_what_a_file_uses_is_of_other_files_and_the_same_for_every_cursor() -> None:
    index = index_of(FILES)
    names = [one.name for one in choose_for_file(index, PATH, OWN)]
    assert names[0] == "Box"
    assert "Shelf.put" in names
    assert not any(one.path == PATH for one in choose_for_file(index, PATH, OWN))
    index.put(PATH, OWN)
    assert [one.name for one in choose_for_file(index, PATH, OWN)] == names
