"""Typing into the real server, with a random model."""

import asyncio
from functools import partial

from lsp_server.benchmarks.systems.conditions import Condition
from lsp_server.benchmarks.systems.longllama import our_server
from lsp_server.benchmarks.typing.person import Person
from lsp_server.benchmarks.typing.rhythm import Rhythm, count_keys
from lsp_server.benchmarks.typing.rows import Row, RowFile
from lsp_server.benchmarks.typing.run import run_typing
from lsp_server.benchmarks.typing.summary import summarise
from tests.server.benchmarks.git_repository import GitRepository

SETTINGS = {
    "model": {"path": "tiny", "threads": 1},
    "memory": {"persist": False},
    "trigger": {"debounceMs": 0},
    "completion": {"maxTokens": 4, "ahead": False},
}
HASTY = Rhythm(word_s=0.02, word_end_s=0.02, line_end_s=2.0, reading_s=0.02, start_s=0.5)
"""At a line's end there is time for a suggestion on a busy machine too."""


def test_a_commit_is_typed_into_the_server_with_the_repository_and_without(tmp_path):
    repo = GitRepository(tmp_path / "shapes")
    repo.commit_three(other_py="x = 1\n")
    replay = repo.replay(max_chars=45)
    conditions = [
        Condition("repository", partial(our_server, settings=SETTINGS)),
        Condition(
            "file",
            partial(our_server, settings=SETTINGS, only_open_file=True),
            shows_repository=False,
        ),
    ]
    work = tmp_path / "work"
    work.mkdir()
    file = RowFile(tmp_path / "rows.jsonl", {})
    people = [Person("word", HASTY)]
    asyncio.run(run_typing([replay], conditions, people, file, work, Row("", "", "", "", "c")))
    rows = list(file.rows().values())
    assert [(row.condition, row.error) for row in rows] == [
        ("repository", None),
        ("repository", None),
        ("file", None),
        ("file", None),
    ]
    texts = {each.id: each.typed for each in replay.sessions}
    for row in rows:
        assert len(row.keys) == row.pressed - 1
        assert row.pressed + sum(key.saved for key in row.keys) == row.characters
        assert row.characters == count_keys(texts[row.session])
        assert not any(key.failed for key in row.keys)
        assert "tiny" in row.engine
        assert row.files == (3 if row.condition == "repository" else 1)
    assert any(key.shown for row in rows for key in row.keys)
    about = {"model": "tiny", "settings": SETTINGS, "rhythm": people[0].rhythm.describe()}
    sides = summarise(rows, about)["all"]["sides"]
    assert [side["sessions"] for side in sides] == [2, 2]
