"""Users over one repository: each sees it with their own edits, and nobody else's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from longllama_code.generation.engine import Engine
from longllama_code.generation.models import LoadedModel
from longllama_code.protocol import CompletionRequest, CompletionResult, RememberResult

MakeEngine = Callable[..., Engine]
Remember = Callable[[Engine, str, str], RememberResult]

BLOCKS = [f"def function_{n}(x):\n" + f"    x += {n}{n}\n" * 16 + "\n\n" for n in range(6)]
BASE = {"a.py": "".join(BLOCKS[:3]), "b.py": "".join(BLOCKS[1:4])}
EDIT = "".join([BLOCKS[0], BLOCKS[4], BLOCKS[2]])
"""Of a.py: its middle is another."""
SECRET = "def secret_rate(x):\n" + "    x -= 987654\n" * 16


def complete(engine: Engine, prefix: str = "def f(x):\n    x") -> CompletionResult:
    request = CompletionRequest("cursor.py", prefix, "", max_tokens=24, timeout_ms=60_000)
    return engine.complete(request, lambda: False)


def same(one: CompletionResult, other: CompletionResult) -> bool:
    """But for the order of rows, from which sums of attention differ in their last bits."""
    places = [
        {(source.path, source.first_line): round(source.mass, 4) for source in result.sources}
        for result in (one, other)
    ]
    return (one.text, round(one.confidence, 4)) == (other.text, round(other.confidence, 4)) and (
        places[0] == places[1]
    )


@pytest.fixture
def base(make_engine: MakeEngine, remember: Remember, copying: LoadedModel) -> Engine:
    host = make_engine(None, copying)
    base = host.fork()
    for path, text in BASE.items():
        remember(base, path, text)
    return base


def alone(
    make_engine: MakeEngine, remember: Remember, files: dict[str, str], loaded: LoadedModel
) -> CompletionResult:
    engine = make_engine(None, loaded)
    for path, text in files.items():
        remember(engine, path, text)
    return complete(engine)


def test_an_overlay_of_nothing_is_the_base(base: Engine) -> None:
    expected, state = complete(base), base.status()
    user = base.overlay()
    assert same(complete(user), expected)
    assert user.status().n_tokens == state.n_tokens
    assert user.status().n_segments == state.n_segments


def test_each_sees_their_own_edit_as_if_it_were_the_repository(
    base: Engine, make_engine: MakeEngine, remember: Remember, copying: LoadedModel
) -> None:
    edited, other = base.overlay(), base.overlay()
    assert remember(edited, "a.py", EDIT).n_encoded == 1
    remember(other, "c.py", SECRET)
    assert same(complete(edited), alone(make_engine, remember, {**BASE, "a.py": EDIT}, copying))
    assert same(complete(other), alone(make_engine, remember, {**BASE, "c.py": SECRET}, copying))
    assert edited.status().n_files == 2
    assert other.status().n_files == 3
    assert edited.status().n_tokens == len(EDIT) + len(BASE["b.py"])


def test_what_a_user_added_is_not_seen_by_others(base: Engine, remember: Remember) -> None:
    reader, writer = base.overlay(), base.overlay()
    expected = complete(reader, SECRET[:30])
    remember(writer, "c.py", SECRET)
    remember(writer, "a.py", "")
    found = complete(reader, SECRET[:30])
    assert same(found, expected)
    assert "87654" not in found.text
    assert "87654" in complete(writer, SECRET[:30]).text  # so that this could fail
    assert reader.status().n_tokens == base.status().n_tokens - len(SECRET)


def test_typing_of_one_keeps_what_the_other_read(base: Engine, remember: Remember) -> None:
    reader, writer = base.overlay(), base.overlay()
    complete(reader)
    remember(writer, "c.py", SECRET)
    assert complete(reader).timings.reused_tokens > 0


def test_a_file_is_gone_and_back_again(
    base: Engine, make_engine: MakeEngine, remember: Remember, copying: LoadedModel
) -> None:
    user = base.overlay()
    assert user.forget("a.py")
    assert not user.forget("a.py")
    assert same(complete(user), alone(make_engine, remember, {"b.py": BASE["b.py"]}, copying))
    user.restore("a.py")
    assert same(complete(user), complete(base))
    remember(user, "a.py", EDIT)
    user.restore("a.py")
    assert same(complete(user), complete(base))


def test_who_leaves_takes_their_edits_along(base: Engine, remember: Remember) -> None:
    before = base.status().n_tokens
    user = base.overlay()
    remember(user, "c.py", SECRET)
    assert base.status().n_tokens == before + len(SECRET)
    user.release()
    assert base.status().n_tokens == before


def test_the_same_edit_of_two_users_is_held_once(base: Engine, remember: Remember) -> None:
    one, other = base.overlay(), base.overlay()
    remember(one, "c.py", SECRET)
    kept = remember(other, "c.py", SECRET)
    assert (kept.n_kept, kept.n_encoded) == (1, 0)
    one.release()
    assert "87654" in complete(other, SECRET[:30]).text


def test_a_collection_keeps_what_overlays_hold(
    make_engine: MakeEngine, remember: Remember, tmp_path: Path
) -> None:
    base = make_engine(tmp_path).fork()
    remember(base, "a.py", BASE["a.py"])
    user = base.overlay()
    remember(user, "c.py", SECRET)
    expected = complete(user)
    assert base.clear_store().n_segments == 0
    assert same(complete(user), expected)
