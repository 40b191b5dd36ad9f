"""Recent edits in the prompt of a code model: which, where, and what is read for them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.edit_excerpts import (
    MAX_EDIT_TOKENS,
    REASON,
    edit_excerpts,
)
from longllama_code.generation.prompting.excerpt_source import n_tokens_of
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    RecentEdit,
    RememberResult,
    ShownDefinition,
)

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

SHIP = "def moor(ship, berth):\n    return berth.take(ship)\n"
REQUEST = CompletionRequest(
    "office.py", "from ship import moor\n\n\nmoor(", "\n", max_tokens=4, repository="port"
)
RENAMED = RecentEdit("ship.py", "def dock(ship):", "def moor(ship, berth):", 1)
PATHS = st.sampled_from(["ship.py", "crew.py", "office.py"])
OLD, NEW = st.text("ab\n", max_size=40), st.text("cd\n", max_size=40)
EDITS = st.lists(st.builds(RecentEdit, PATHS, OLD, NEW, st.integers(1, 9)), max_size=12)


@pytest.fixture
def engine(make_engine: MakeEngine, remember: Remember, coder: LoadedModel) -> Engine:
    found = make_engine(loaded=coder)
    remember(found, "ship.py", SHIP)
    return found


def complete(engine: Engine, *edits: RecentEdit, **fields: object) -> CompletionResult:
    return engine.complete(replace(REQUEST, recent_edits=edits, **fields), lambda: False)


def edits_of(result: CompletionResult) -> list[ShownDefinition]:
    return [one for one in result.definitions if one.reason == REASON]


def count(text: str) -> int:
    return len(text.encode())


def test_an_edit_is_shown_as_lines_before_and_after_nearest_to_the_file(engine: Engine) -> None:
    result = complete(engine, RENAMED)
    (edit,) = edits_of(result)
    assert result.definitions[-1] is edit
    assert (edit.path, edit.first_line, edit.last_line) == ("ship.py", 1, 1)
    assert edit.name == "lines 1-1"
    plain = complete(engine, path="other.py").timings.prompt_tokens
    text = "-def dock(ship):\n+def moor(ship, berth):\n"
    shown = result.timings.prompt_tokens - plain - len("office.py") + len("other.py")
    assert shown - len(text) in (0, 1 + len("ship.py\n"))  # the path, unless it is shown already


def test_edits_of_files_that_memory_lacks_are_not_shown(engine: Engine) -> None:
    assert edits_of(complete(engine, replace(RENAMED, path="secret.py"))) == []


def test_what_is_around_the_cursor_is_not_shown_as_an_edit(
    engine: Engine, remember: Remember
) -> None:
    remember(engine, "office.py", REQUEST.prefix)
    here = RecentEdit("office.py", "mor(", "moor(", 4)
    assert edits_of(complete(engine, here)) == []
    far = RecentEdit("office.py", "x = 1", "x = 2", 4)
    (edit,) = edits_of(complete(engine, here, far, is_ahead=True))
    assert (edit.path, edit.first_line) == ("office.py", 4)


def test_while_one_types_edits_stay_until_somebody_looks_ahead(engine: Engine) -> None:
    complete(engine)
    typed = complete(engine, RENAMED, prefix=REQUEST.prefix + "s")
    assert edits_of(typed) == []
    assert typed.timings.prompt_tokens - typed.timings.reused_tokens <= 2
    ahead = complete(engine, RENAMED, prefix=REQUEST.prefix + "s", is_ahead=True)
    assert edits_of(ahead) != []
    after = complete(engine, RENAMED, prefix=REQUEST.prefix + "sh")
    assert edits_of(after) != []
    assert after.timings.prompt_tokens - after.timings.reused_tokens <= 2


def test_an_edit_that_was_undone_is_shown_no_longer(engine: Engine) -> None:
    assert edits_of(complete(engine, RENAMED)) != []
    assert edits_of(complete(engine)) == []


def test_only_prompts_that_show_other_files_show_edits(engine: Engine) -> None:
    assert edits_of(complete(engine, RENAMED, definition_tokens=0)) == []
    assert edits_of(complete(engine, RENAMED, repository_context="memory")) == []


@given(EDITS)
def test_the_newest_that_fit_are_chosen(edits: list[RecentEdit]) -> None:
    request = replace(REQUEST, path="elsewhere.py", recent_edits=tuple(edits))
    excerpts = edit_excerpts(request, count)
    shown = [one for excerpt in excerpts for one in excerpt.chosen]
    assert len({excerpt.path for excerpt in excerpts}) == len(excerpts)
    assert sum(n_tokens_of(excerpt, count) for excerpt in excerpts) <= MAX_EDIT_TOKENS
    newest = edits[len(edits) - len(shown) :]
    assert sorted((one.path, one.line) for one in shown) == sorted(
        (one.path, one.line) for one in newest
    )
    if shown:
        assert excerpts[-1].path == edits[-1].path
        assert excerpts[-1].chosen[-1].line == edits[-1].line
