"""Pieces of files: which definitions are encoded together, and what an edit changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.definition_pieces import MAX_PIECE_TOKENS, pieces_of
from longllama_code.generation.prompting.excerpt_source import n_tokens_of
from longllama_code.generation.prompting.piece_excerpts import DefinitionPieces
from tests.code_model import TOKENIZER

SHIP = '''\
LIMIT = 12
_CACHE = {}


class Ship:
    """A vessel."""

    flag = "none"

    def __init__(self, name, tonnes):
        self.name = name
        self.tonnes = tonnes

    def dues(self, rate):
        return self.tonnes * rate

    def _secret(self):
        pass


def moor(ship, berth):
    return berth.take(ship)
'''
OFFICE = "from harbour.ship import Ship, moor\n\n\ndef arrive(name):\n    ship = Ship(name, 12)\n"
PATH = "harbour/ship.py"


def n_words(text: str) -> int:
    return -(-len(text) // 4)


class Repository:
    def __init__(self, **texts: str) -> None:
        self.definitions = RepositoryDefinitions(TOKENIZER)
        self.definitions.count = n_words  # bytes are tokens of the tokenizer, so pieces were small
        self.pieces = DefinitionPieces(self.definitions)
        self.put(PATH, SHIP)

    def put(self, path: str, text: str) -> None:
        self.definitions.put(path, text)
        self.pieces.put(path, text)

    def texts(self, path: str = PATH) -> set[str]:
        return {each.text for each in self.pieces.of(path)}

    def wanted(self, text: str = OFFICE + "    return ship.", n_tokens: int = 768):
        return self.pieces.wanted("office.py", text, "\n", n_tokens)


@pytest.fixture
def repository() -> Repository:
    return Repository()


def test_a_class_is_a_piece_and_so_is_a_function(repository: Repository) -> None:
    texts = repository.texts()
    (ship,) = (each for each in texts if "def dues" in each)
    assert ship.startswith("class Ship:")
    assert "def __init__" in ship
    assert "_secret" not in ship
    assert "moor" not in ship
    assert "LIMIT" not in ship
    assert any("class Ship" in each and "def _secret" in each for each in texts)
    assert sum("def moor" in each for each in texts) == 1


def test_an_edit_changes_its_own_piece_alone(repository: Repository) -> None:
    before = repository.texts()
    repository.put(PATH, "# a comment above\n" + SHIP)
    assert repository.texts() == before
    repository.put(PATH, SHIP.replace("def moor(ship, berth)", "def moor(ship, berth, at)"))
    changed = before ^ repository.texts()
    assert len(changed) == 2
    assert all("def moor" in each for each in changed)


def test_a_large_class_is_in_parts_with_its_head(repository: Repository) -> None:
    methods = "".join(f"    def method_{n}(self, argument): return {n}\n" for n in range(40))
    repository.put("large.py", f"class Large:\n{methods}")
    pieces = repository.pieces.of("large.py")
    assert len(pieces) > 3
    for each in pieces:
        assert each.text.startswith("class Large:\n")
        assert n_words(each.text) <= MAX_PIECE_TOKENS
    shown = "\n".join(each.text for each in pieces)
    assert all(shown.count(f"def method_{n}(") == 1 for n in range(40))


def test_what_a_cursor_needs_comes_with_its_piece_and_is_described(repository: Repository) -> None:
    wanted = repository.wanted()
    texts = {each.text for each in wanted.excerpts}
    assert texts <= repository.texts()
    assert any("def dues" in each for each in texts)
    described = repository.pieces.described(wanted.excerpts, "dues(rate)")
    names = {each.name: each for each in described}
    assert names["Ship.dues"].is_named
    assert names["Ship.dues"].first_line == 14
    assert not names["moor"].is_named


def test_the_piece_of_a_definition_depends_on_no_cursor(repository: Repository) -> None:
    at_one = {each.text for each in repository.wanted().excerpts}
    at_other = {each.text for each in repository.wanted(OFFICE + "    moor(").excerpts}
    (one,) = (each for each in at_one if "def moor" in each)
    (other,) = (each for each in at_other if "def moor" in each)
    assert one == other


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 400))
def test_what_is_wanted_fits(n_tokens: int) -> None:
    repository = Repository()
    excerpts = repository.wanted(n_tokens=n_tokens).excerpts
    cost = sum(n_tokens_of(each, repository.definitions.count) for each in excerpts)
    assert cost <= n_tokens


def test_a_piece_holds_until_its_file_changes_it(repository: Repository) -> None:
    wanted = repository.wanted().excerpts
    assert all(map(repository.pieces.still_hold, wanted))
    repository.put(PATH, SHIP.replace("self, rate", "self, tariff"))
    gone = [each for each in wanted if not repository.pieces.still_hold(each)]
    assert [each.text for each in gone] == [each.text for each in wanted if "dues" in each.text]
    repository.definitions.forget(PATH)
    repository.pieces.forget(PATH)
    assert not any(map(repository.pieces.still_hold, wanted))


def test_definitions_of_the_cursors_own_file_stand_alone(repository: Repository) -> None:
    far = "# nothing to be seen here\n" * 400
    own = "class Tide:\n    def high(self): return 1\n\n    def low(self): return 0\n"
    text = f"{own}{far}\ndef wait():\n    tide = Tide()\n    tide."
    repository.put("tide.py", text)
    wanted = repository.pieces.wanted("tide.py", text, "\n", 768).excerpts
    own_texts = [each.text for each in wanted if each.path == "tide.py"]
    assert any("def high" in each and "def low" not in each for each in own_texts)
    assert all(map(repository.pieces.still_hold, wanted))
    repository.put("tide.py", text.replace("def low(self)", "def low(self, at)"))
    still = [each for each in wanted if repository.pieces.still_hold(each)]
    assert any("def high" in each.text for each in still)
    assert not any("def low" in each.text for each in still)


def test_a_text_without_definitions_has_no_pieces() -> None:
    empty = RepositoryDefinitions(TOKENIZER)
    empty.put("a.py", "")
    file = empty.index.file("a.py")
    assert file is not None
    assert pieces_of("a.py", file, empty.count) == []
    assert DefinitionPieces(empty).of("b.py") == ()
