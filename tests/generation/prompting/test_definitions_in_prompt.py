"""Definitions of other files in the prompt of a code model: which, when, and read before asked."""

from dataclasses import replace
from pathlib import Path

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks
from longllama_code.generation.prompting.prompt import Excerpt, PromptSource, build_prompt, opening
from longllama_code.protocol import CompletionResult
from tests.code_model import NAMES, TOKENIZER
from tests.generation.harbour import REQUEST, MakeEngine, Remember, complete, shown
from tests.generators import finish

SHIP = '''\
class Ship:
    """A vessel."""

    def __init__(self, name, tonnes):
        self.name = name
        self.tonnes = tonnes

    def dues(self, rate):
        return self.tonnes * rate


def moor(ship, berth):
    return berth.take(ship)
'''


def test_the_layout_is_the_repositorys() -> None:
    marks = InfillMarks.named(TOKENIZER)
    assert marks is not None
    excerpts = (Excerpt("a.py", "x = 1"), Excerpt("a.py", "y = 2"), Excerpt("b.py", "z = 3"))
    around = PromptSource("c.py", "x", "\n", "port", excerpts)
    prefix, suffix, middle, repository, file = (TOKENIZER.id_of(name) for name in NAMES)
    encode = TOKENIZER.encode
    first = [repository, *encode("port\n"), file, *encode("a.py\nx = 1\ny = 2\n")]
    head = [*first, file, *encode("b.py\nz = 3\n")]
    assert opening(replace(around, excerpts=excerpts[:2]), TOKENIZER, marks) == first
    assert opening(around, TOKENIZER, marks) == head
    prompt = build_prompt(around, TOKENIZER, 4000, marks)
    own = [file, *encode("c.py\n")]
    assert prompt.ids == [*head, *own, prefix, suffix, *encode("\n"), middle]


def test_what_the_file_uses_is_shown_and_named(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    alone = complete(engine)
    assert alone.definitions == []
    remember(engine, "harbour/ship.py", SHIP)
    remember(engine, "harbour/unrelated.py", "def unrelated():\n    pass\n")
    result = complete(engine, replace(REQUEST, path="other.py"))
    assert {"Ship", "Ship.dues", "moor"} <= shown(result)
    assert "unrelated" not in shown(result)
    (dues,) = (each for each in result.definitions if each.name == "Ship.dues")
    assert (dues.path, dues.first_line) == ("harbour/ship.py", 8)
    assert dues.reason
    assert dues.n_tokens > 0
    assert result.timings.prompt_tokens > alone.timings.prompt_tokens


def test_none_are_shown_where_none_are_wanted(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/ship.py", SHIP)
    assert shown(complete(engine))
    for request in (replace(REQUEST, definition_tokens=0), replace(REQUEST, uses_memory=False)):
        assert complete(engine, request).definitions == []
        assert complete(engine, replace(request, path="other.py")).definitions == []
    assert shown(complete(engine))


def test_a_definition_that_was_edited_counts_from_the_next_request_on(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/ship.py", SHIP)
    assert "Ship.dues" in shown(complete(engine))
    remember(engine, "harbour/ship.py", SHIP.replace("dues", "duties"))
    assert shown(complete(engine)) & {"Ship.dues", "Ship.duties"} == {"Ship.duties"}
    engine.forget("harbour/ship.py")
    assert complete(engine).definitions == []


def test_typing_a_new_name_reads_nothing_anew_until_somebody_looks_ahead(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/ship.py", SHIP)
    remember(engine, "harbour/berth.py", "class Berth:\n    depth = 12\n")
    complete(engine)
    typed = replace(REQUEST, prefix="from harbour.berth import Berth\n" + REQUEST.prefix)
    # The import stands before what was read, so all is read anyway, and shown.
    assert "Berth" in shown(complete(engine, typed))
    more = "def moor_at(berth):\n    return berth."
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/ship.py", SHIP)
    first = complete(engine)
    remember(engine, "harbour/berth.py", "class Berth:\n    depth = 12\n")
    typed = replace(REQUEST, prefix=REQUEST.prefix + "name\n\nfrom harbour.berth import Berth\n")
    result = complete(engine, typed)
    assert shown(result) == shown(first)
    assert result.timings.reused_tokens >= first.timings.prompt_tokens - 8
    ahead = complete(engine, replace(typed, is_ahead=True))
    assert "Berth" in shown(ahead)
    later = complete(engine, replace(typed, prefix=typed.prefix + more))
    assert "Berth" in shown(later)
    assert later.timings.reused_tokens >= ahead.timings.prompt_tokens - 8


def test_a_file_that_was_prepared_is_asked_about_without_reading_a_definition(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine, fresh = make_engine(loaded=coder), make_engine(loaded=coder)
    for each in (engine, fresh):
        remember(each, "harbour/ship.py", SHIP)
    whole = replace(REQUEST, suffix="", is_ahead=True)
    n_read = finish(engine.prepare(whole))
    assert n_read > 64
    assert finish(engine.prepare(whole)) == n_read
    result, expected = complete(engine), complete(fresh)
    assert result.timings.reused_tokens >= n_read
    assert expected.timings.reused_tokens == 0
    assert result.text == expected.text
    assert shown(result) == shown(expected)


def test_a_request_in_between_ends_the_preparation_and_keeps_its_own(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    engine = make_engine(loaded=coder)
    remember(engine, "harbour/ship.py", SHIP)
    work = engine.prepare(replace(REQUEST, is_ahead=True))
    next(work)
    first = complete(engine)
    assert list(work) == []
    again = complete(engine)
    assert again.timings.reused_tokens == again.timings.prompt_tokens - 1
    assert again.text == first.text


def test_what_was_prepared_survives_a_restart(
    coder: LoadedModel, remember: Remember, tmp_path: Path
) -> None:
    results: list[CompletionResult] = []
    for _ in range(2):
        engine = Engine.create(coder, None, folder=tmp_path)
        remember(engine, "harbour/ship.py", SHIP)
        if not results:
            finish(engine.prepare(replace(REQUEST, is_ahead=True)))
        results.append(complete(engine))
        engine.close()
    assert results[1].timings.reused_tokens == results[0].timings.reused_tokens > 64
    assert results[1].text == results[0].text


def test_users_of_one_repository_see_their_own_definitions(
    make_engine: MakeEngine, remember: Remember, coder: LoadedModel
) -> None:
    base = make_engine(loaded=coder)
    remember(base, "harbour/ship.py", SHIP)
    mine, theirs = base.overlay(), base.overlay()
    remember(mine, "harbour/ship.py", SHIP.replace("dues", "duties"))
    assert "Ship.duties" in shown(complete(mine))
    assert "Ship.dues" in shown(complete(theirs))
    mine.restore("harbour/ship.py")
    assert "Ship.dues" in shown(complete(mine))
    theirs.forget("harbour/ship.py")
    assert complete(theirs).definitions == []
