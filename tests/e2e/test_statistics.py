"""The statistics are what was done, over restarts and with several windows at once."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing

import pytest

from lsp_server.statistics.database import path_in
from tests.e2e.counting_person import ANSWERS, TEXT, Person, kept, telling
from tests.e2e.editor import scripted

ACTIONS = (
    Person.accept,
    Person.accept_a_word,
    Person.type_over,
    Person.type_out,
    Person.look_away,
    Person.never_see_it,
    Person.type_and_accept_the_rest,
)


@pytest.fixture
def settings(tmp_path):
    return scripted(tmp_path, answers=ANSWERS)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


async def do_all(person: Person, n_times: int = 1) -> None:
    for action in ACTIONS * n_times:
        await action(person)


async def said(editor, **params):
    return await editor.ask("longllama/statistics", **params)


def outcomes(total):
    names = ("accepted", "partly_accepted", "typed_out", "typed_over", "left")
    return Counter({name: total[name] for name in names if total[name]})


async def test_they_are_what_was_done_by_two_windows_at_once_and_after_restarts(
    start, settings, cache, root
):
    """Two servers, each its own process, write one file; both are ended, and two others go on."""
    did: Counter[str] = Counter()
    for n_round in (1, 2):
        editors = [await start(settings=settings, can=telling()) for _ in range(2)]
        people = [
            Person(editor, (root / f"{number}.x").as_uri(), language)
            for number, (editor, language) in enumerate(zip(editors, ("python", "go"), strict=True))
        ]
        for editor in editors:
            await editor.indexed()
        await asyncio.gather(*(do_all(person) for person in people))
        for person in people:
            did += person.did
        for editor in editors:
            found = await said(editor)
            assert found["total"]["shown"] >= people[0].did.total() * n_round
        for editor in editors:
            await editor.close()
        assert kept(cache) == did
    editor = await start(settings=settings)
    found = await said(editor)
    assert outcomes(found["total"]) == did
    assert found["total"]["shown"] == did.total()
    assert {group["name"]: group["shown"] for group in found["languages"]} == {
        "python": did.total() / 2,
        "go": did.total() / 2,
    }
    assert [group["name"] for group in found["lengths"]] == ["11 to 30"]
    assert found["total"]["accepted_chars"] == (
        did["accepted"] * len(TEXT) + did["partly_accepted"] * len("count_all")
    )


async def test_no_text_and_no_name_is_in_the_file(start, settings, cache, root):
    editor = await start(settings=settings, can=telling())
    await editor.indexed()
    person = Person(editor, (root / "moorage.py").as_uri())
    await do_all(person)
    await editor.close()
    data = b"".join(path.read_bytes() for path in path_in(cache).parent.iterdir())
    assert b"accepted" in data
    for secret in (b"count_all", b"prices", b"moorage", b"script.json", str(root).encode()):
        assert secret not in data


async def test_turned_off_nothing_is_counted_and_no_file_is_made(start, settings, cache, root):
    off = {**settings, "statistics": {"enable": False}}
    editor = await start(settings=off, can=telling())
    await editor.indexed()
    await do_all(Person(editor, (root / "a.py").as_uri()))
    await editor.close()
    assert not path_in(cache).exists()


async def test_cleared_is_cleared_for_every_window(start, settings, cache, root):
    editors = [await start(settings=settings, can=telling()) for _ in range(2)]
    for number, editor in enumerate(editors):
        await editor.indexed()
        await Person(editor, (root / f"{number}.py").as_uri()).accept()
    await said(editors[1])
    assert (await editors[0].ask("longllama/clearStatistics")) == {"n_removed": 2}
    assert (await said(editors[1]))["total"]["shown"] == 0
    await editors[1].command("longllama.showStatistics")
    assert editors[1].messages.pop() == "No suggestion was counted yet."
    for editor in editors:
        await editor.close()
    assert kept(cache) == Counter()


async def test_a_damaged_file_is_set_aside_with_a_message(start, settings, cache, root):
    path_in(cache).parent.mkdir(parents=True)
    path_in(cache).write_bytes(b"no database" * 1_000)
    editor = await start(settings=settings, can=telling())
    editor.expected_in_log = ("damaged",)
    await editor.indexed()
    person = Person(editor, (root / "a.py").as_uri())
    await do_all(person)
    assert outcomes((await said(editor))["total"]) == person.did
    await editor.until(lambda: editor.messages)
    assert "set aside" in editor.messages.pop()
    assert path_in(cache).with_name("statistics.sqlite.damaged").exists()


async def test_where_no_file_can_be_made_it_does_without_and_says_so(start, settings, cache, root):
    cache.mkdir()
    (cache / "statistics").write_text("in the way")
    editor = await start(settings=settings, can=telling())
    await editor.indexed()
    person = Person(editor, (root / "a.py").as_uri())
    await do_all(person)
    assert (await said(editor))["total"]["shown"] == 0
    assert "without statistics" in (await editor.status())["message"]
    assert any("statistics" in message for message in editor.messages)
    editor.messages.clear()


def stats(*options):
    command = [sys.executable, "-m", "lsp_server", "stats", *options]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


async def test_the_command_line_prints_and_clears_what_a_running_server_counted(
    start, settings, cache, root
):
    editor = await start(settings=settings, can=telling())
    await editor.indexed()
    person = Person(editor, (root / "a.py").as_uri())
    await do_all(person, 2)
    await said(editor)
    where = ("--cache-dir", str(cache))
    code, out, _ = await asyncio.to_thread(stats, *where)
    table = out.decode()
    assert code == 0
    assert re.search(rf"^all +{person.did.total()} ", table, re.MULTILINE)
    assert re.search(rf"^python +{person.did.total()} ", table, re.MULTILINE)
    code, out, _ = await asyncio.to_thread(stats, "--json", "--days", "1", *where)
    assert outcomes(json.loads(out)["total"]) == person.did
    code, out, _ = await asyncio.to_thread(stats, "--clear", *where)
    assert (code, str(person.did.total()) in out.decode()) == (0, True)
    assert (await said(editor))["total"]["shown"] == 0


async def test_the_last_days_alone_are_counted_if_a_number_is_given(start, settings, cache, root):
    editor = await start(settings=settings, can=telling())
    await editor.indexed()
    person = Person(editor, (root / "a.py").as_uri())
    await do_all(person)
    await said(editor)
    with closing(sqlite3.connect(path_in(cache))) as database, database:
        database.execute(
            "UPDATE shown SET shown_at = shown_at - 200000 WHERE outcome != 'typed_over'"
        )
    assert outcomes((await said(editor, days=2))["total"]) == {"typed_over": 1}
    assert outcomes((await said(editor, days=3))["total"]) == person.did
    assert len((await said(editor))["days"]) == 2
