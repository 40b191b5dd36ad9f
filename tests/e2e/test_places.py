"""Going back to a place over the real server: its prompt is processed already."""

import asyncio

import pytest_asyncio

from tests.code_model import write_code_model
from tests.e2e.editor import editing, tiny

FUNCTIONS = [
    f"def arrive_{n}(ship):\n    tonnes = {n} * {n}{n}\n    return tonnes\n\n\n" for n in range(12)
]
TEXT = "from mooring import moor\n\n\n" + "".join(FUNCTIONS)
MOORING = "class Berth:\n    def take(self, ship): ...\n\n\ndef moor(ship, berth):\n    pass\n"
END = 99
"""Behind the last character of any line."""
FEW = 2
"""Most tokens of a prompt that is processed already: its last one, and that before it."""


def line(number):
    """The line of a function that its cursor is in."""
    return 4 + 5 * number


@pytest_asyncio.fixture
async def editor(tmp_path, root):
    (root / "mooring.py").write_text(MOORING)
    settings = tiny(tmp_path, str(write_code_model(tmp_path / "coder")))
    settings["completion"]["ahead"] = True
    async with editing(tmp_path, root, settings=settings) as opened:
        await opened.indexed()
        yield opened


async def n_read(editor, uri, number):
    """Tokens of a prompt that were processed once it was asked for."""
    await editor.suggestion(uri, line(number), END)
    timings = (await editor.ask("longllama/explain"))["timings"]
    return timings["prompt_tokens"] - timings["reused_tokens"]


async def at_rest(editor):
    """Wait until nothing is processed any more; bytes of what is."""
    seen = []
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        await asyncio.sleep(0.3)
        seen.append((await editor.ask("longllama/status"))["engine"]["context_bytes"])
    return seen[-1]


async def test_between_two_places_and_two_files_nothing_is_read_again(editor, root):
    one = editor.open((root / "one.py").as_uri(), TEXT)
    other = editor.open((root / "other.py").as_uri(), TEXT.replace("tonnes", "rate"))
    visits = [(one, 2), (one, 9), (other, 5)]
    first = [await n_read(editor, *visit) for visit in visits]
    again = [await n_read(editor, *visit) for visit in visits * 2]
    assert min(first) > 100
    assert max(again) <= FEW


async def test_where_the_cursor_came_to_rest_the_prompt_is_read(editor, root):
    uri = editor.open((root / "one.py").as_uri(), TEXT)
    assert await n_read(editor, uri, 2) > 100
    before = await at_rest(editor)
    place = {"line": line(9), "character": END}
    editor.protocol.notify(
        "longllama/didMoveCursor", {"textDocument": {"uri": uri}, "position": place}
    )
    while await at_rest(editor) <= before:
        pass
    assert await n_read(editor, uri, 9) <= FEW
    assert await n_read(editor, uri, 2) <= FEW


async def test_a_file_that_comes_to_the_front_is_read_before_it_is_asked_about(editor, root):
    one = editor.open((root / "one.py").as_uri(), TEXT)
    other = editor.open((root / "other.py").as_uri(), TEXT.replace("tonnes", "rate"))
    assert await n_read(editor, one, 2) > 100
    before = await at_rest(editor)
    place = {"line": line(4), "character": END}
    editor.protocol.notify(
        "longllama/didMoveCursor", {"textDocument": {"uri": other}, "position": place}
    )
    while await at_rest(editor) <= before:
        pass
    assert await n_read(editor, other, 4) <= FEW
    assert await n_read(editor, one, 2) <= FEW
