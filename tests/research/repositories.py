"""Small repositories whose files use each other, for the tuning of definitions as memory."""

from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.research.cursor_rows.drawing import Shares
from longllama_code.research.cursor_rows.making import RepositoryRows, RowMaker
from longllama_code.research.datasets.sources import SourceTree
from tests.code_model import TOKENIZER, code_model

STORE = '''"""Keeps {name}s."""


class {Name}Store:
    """All {name}s by key."""

    limit = {limit}

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.items: dict[str, str] = {{}}

    def put_{name}(self, key: str, value: str) -> int:
        """Keep one."""
        if len(self.items) >= self.limit:
            raise ValueError(key)
        self.items[key] = value
        return len(self.items)

    def get_{name}(self, key: str) -> str:
        """Return one."""
        return self.items[key]


def open_{name}(folder: str) -> {Name}Store:
    """Open a store."""
    return {Name}Store(folder)
'''
USER = '''"""Copies {name}s."""

from {name}.store import {Name}Store, open_{name}


def copy(source: str, target: str, keys: list[str]) -> int:
    """Copy some {name}s."""
    before = open_{name}(source)
    after = {Name}Store(target)
    count = 0
    for key in keys:
        if key in before.items and count < after.limit:
            count = after.put_{name}(key, before.get_{name}(key))
    return count


def first(folder: str) -> str:
    """Return the first."""
    store = open_{name}(folder)
    return store.get_{name}(sorted(store.items)[0])
'''
CLOCK = '''"""Measures time."""


class {Name}Clock:
    """Seconds since something began."""

    def __init__(self, began: float) -> None:
        self.began = began

    def seconds_since_{name}(self, now: float) -> float:
        """Return the seconds."""
        return now - self.began
'''
TIMING = '''"""Times {name}s."""

from {name}.clock import {Name}Clock


def timed(began: float, now: float) -> bool:
    """Whether it took long."""
    clock = {Name}Clock(began)
    return clock.seconds_since_{name}(now) > 1.0
'''


def tree(name: str, limit: int = 7) -> SourceTree:
    """A repository of two pairs of files, of which one uses what the other one defines."""
    forms = {"store": STORE, "copying": USER, "clock": CLOCK, "timing": TIMING}
    values = {"name": name, "Name": name.title(), "limit": limit}
    return SourceTree(name, {f"{name}/{e}.py": form.format(**values) for e, form in forms.items()})


def marks() -> InfillMarks:
    """Marks of the code model of tests."""
    found = InfillMarks.named(TOKENIZER)
    assert found is not None
    return found


def rows_of_tree(name: str = "parcel", **shares: float) -> RepositoryRows:
    """Rows of such a repository, one for each 60 characters."""
    wanted = {"chars_per_row": 60, **shares}
    maker = RowMaker(TOKENIZER, marks(), Shares(**wanted))  # type: ignore[arg-type]
    return maker.rows(tree(name))


def coder() -> LoadedModel:
    """The random code model of tests, made anew: tuning changes it in place."""
    return code_model()
