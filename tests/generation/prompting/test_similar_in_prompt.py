"""Chunks of other files in the prompt of a code model: similar ones, where a request wants them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.excerpt_source import n_tokens_of
from longllama_code.generation.prompting.similar_excerpts import REASON, SimilarChunks
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult
from longllama_code.similar_code.bm25 import ChunkIndex
from longllama_code.similar_code.chunks import query_of
from tests.code_model import TOKENIZER

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

MOORING = """\
def moor(ship, berth):
    rope = berth.rope_for(ship)
    rope.tie(ship.bow)
    return rope
"""
SHED = "wall.colour = paint\nfloor.colour = paint\n"
ROPES = "class Rope:\n    def tie(self, bow):\n        self.bow = bow\n"
NUMBERS = count()
FILES = {"harbour/mooring.py": MOORING, "harbour/shed.py": SHED, "harbour/rope.py": ROPES}
OFFICE = "def arrive(ship, berth):\n    rope = berth."
REQUEST = CompletionRequest(
    "office.py", OFFICE, "\n", max_tokens=4, repository="port", repository_context="similar"
)
DEFINITIONS = replace(
    REQUEST, prefix=f"from harbour.rope import Rope\n{OFFICE}", repository_context="definitions"
)


@pytest.fixture
def engine(make_engine: MakeEngine, remember: Remember, coder: LoadedModel) -> Engine:
    engine = make_engine(loaded=coder)
    for path, text in FILES.items():
        remember(engine, path, text)
    return engine


def complete(engine: Engine, request: CompletionRequest = REQUEST) -> CompletionResult:
    return engine.complete(request, lambda: False)


def paths(result: CompletionResult) -> list[str]:
    return [each.path for each in result.definitions]


def test_a_similar_chunk_is_shown_and_named_by_its_lines(engine: Engine) -> None:
    result = complete(engine)
    best = result.definitions[-1]
    assert (best.path, best.name) == ("harbour/mooring.py", "lines 1-4")
    assert (best.first_line, best.last_line, best.reason) == (1, 4, REASON)
    assert best.n_tokens == len(MOORING)
    assert not best.is_named
    assert "harbour/shed.py" not in paths(result)
    alone = complete(engine, replace(REQUEST, path="alone.py", definition_tokens=0))
    assert result.timings.prompt_tokens >= alone.timings.prompt_tokens + len(MOORING)


def test_the_own_file_is_not_shown(engine: Engine, remember: Remember) -> None:
    remember(engine, "office.py", OFFICE)
    assert "office.py" not in paths(complete(engine))
    assert "office.py" in paths(complete(engine, replace(REQUEST, path="other.py")))


def test_none_are_shown_where_none_are_wanted(engine: Engine) -> None:
    for request in (replace(REQUEST, definition_tokens=0), replace(REQUEST, uses_memory=False)):
        assert complete(engine, request).definitions == []
    nothing = replace(REQUEST, prefix="zzz = ", suffix="")
    assert complete(engine, nothing).definitions == []


def test_definitions_are_shown_by_default_and_no_chunk_is_indexed_for_them(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/rope.py", ROPES)
    assert "Rope.tie" in {each.name for each in complete(engine, DEFINITIONS).definitions}
    assert engine._sources.similar._built is None


def test_both_are_chosen_anew_and_read_once_where_requests_take_turns(engine: Engine) -> None:
    first = complete(engine), complete(engine, DEFINITIONS)
    again = complete(engine), complete(engine, DEFINITIONS)
    for before, after in zip(first, again, strict=True):
        assert after.definitions == before.definitions != []
        assert after.text == before.text
        assert after.timings.reused_tokens == after.timings.prompt_tokens - 1
    assert first[0].definitions != first[1].definitions


@pytest.mark.parametrize("asked_first", [True, False])
def test_files_count_whenever_the_index_is_built(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel, *, asked_first: bool
) -> None:
    engine = make_engine(loaded=coder)
    if asked_first:
        assert complete(engine).definitions == []
    for path, text in FILES.items():
        remember(engine, path, SHED)
        remember(engine, path, text)
    remember(engine, "gone.py", MOORING)
    engine.forget("gone.py")
    other = replace(REQUEST, path="other.py")
    assert paths(complete(engine, other)) == ["harbour/rope.py", "harbour/mooring.py"]


def test_a_chunk_that_was_edited_counts_from_the_next_request_on(
    engine: Engine, remember: Remember
) -> None:
    assert "harbour/mooring.py" in paths(complete(engine))
    remember(engine, "harbour/mooring.py", MOORING.replace("moor", "berth_ship"))
    assert "harbour/mooring.py" in paths(complete(engine))
    remember(engine, "harbour/mooring.py", SHED)
    assert "harbour/mooring.py" not in paths(complete(engine))
    engine.forget("harbour/rope.py")
    assert complete(engine).definitions == []


def test_lines_that_moved_still_hold(engine: Engine, remember: Remember) -> None:
    first = complete(engine)
    remember(engine, "harbour/mooring.py", f"import this\n{MOORING}")
    again = complete(engine)
    assert again.timings.reused_tokens == again.timings.prompt_tokens - 1
    assert paths(again) == paths(first)


def test_typing_reads_nothing_anew_until_somebody_looks_ahead(engine: Engine) -> None:
    first = complete(engine)
    typed = replace(REQUEST, prefix=OFFICE + "x\n    wall.colour = ")
    result = complete(engine, typed)
    assert paths(result) == paths(first)
    assert result.timings.reused_tokens >= first.timings.prompt_tokens - 8
    ahead = complete(engine, replace(typed, is_ahead=True))
    assert "harbour/shed.py" in paths(ahead)
    later = complete(engine, replace(typed, prefix=typed.prefix + "c"))
    assert paths(later) == paths(ahead)


def test_chunks_are_indexed_when_a_file_is_prepared(engine: Engine) -> None:
    assert engine._sources.similar._built is None
    for _ in engine.prepare(replace(REQUEST, is_ahead=True)):
        pass
    assert engine._sources.similar._built is not None
    assert paths(complete(engine))[-1] == "harbour/mooring.py"


def shows_mooring(engine: Engine) -> bool:
    """Whether a file that was not asked about before is shown it."""
    request = replace(REQUEST, path=f"new_{next(NUMBERS)}.py")
    return "harbour/mooring.py" in paths(complete(engine, request))


def test_users_of_one_repository_see_their_own_chunks(engine: Engine, remember: Remember) -> None:
    mine, theirs, late = engine.overlay(), engine.overlay(), engine.overlay()
    assert shows_mooring(mine)
    for user in (mine, late):  # one has an index already, the other one has not
        remember(user, "harbour/mooring.py", SHED)
        assert not shows_mooring(user)
        assert shows_mooring(theirs)
        user.restore("harbour/mooring.py")
        assert shows_mooring(user)
        user.forget("harbour/mooring.py")
        assert not shows_mooring(user)
    gone = engine.overlay()
    gone.forget("harbour/mooring.py")
    assert not shows_mooring(gone)
    assert not shows_mooring(engine.fork())


LINES = st.lists(
    st.sampled_from(["ship = 1", "berth = ship", "", "rope(berth)", "wall = 2", "colour"]),
    max_size=70,
)


@given(st.lists(LINES, min_size=1, max_size=3), LINES, st.integers(0, 400))
def test_chunks_fit_the_best_one_last_and_each_text_once(
    files: list[list[str]], before: list[str], n_tokens: int
) -> None:
    index = ChunkIndex()
    source = SimilarChunks(TOKENIZER, object.__new__(RepositoryMemory))
    source._built = index
    for number, lines in enumerate(files):
        source.put(f"{number}.py", "\n".join(lines))
    prefix = "\n".join(before)
    wanted = source.wanted("x.py", prefix, "", n_tokens)
    counts = [
        n_tokens_of(each, lambda text: len(TOKENIZER.encode(text))) for each in wanted.excerpts
    ]
    assert sum(counts) <= n_tokens
    texts = [each.text for each in wanted.excerpts]
    assert len(set(texts)) == len(texts)
    best = list(
        dict.fromkeys(chunk.text for chunk, _ in index.search(query_of(prefix), "x.py", 50))
    )
    assert texts == [text for text in reversed(best) if text in texts]
    assert wanted.needed <= {each.key for one in wanted.excerpts for each in one.chosen}
    assert all(source.still_hold(each) for each in wanted.excerpts)
