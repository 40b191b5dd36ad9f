"""Recent edits in the prompt, over the real server, with a small model that fills in."""

from longllama_code.generation.prompting.edit_excerpts import REASON
from tests.code_model import write_code_model
from tests.e2e.editor import editing, tiny

SHIP = "def dock(ship, berth):\n    pass\n"
OFFICE = "from ship import dock\n\n\ndef arrive(ship, berth):\n    rope = "


async def shown(editor, uri, *, character):
    """The recent edits that a suggestion's prompt showed."""
    await editor.indexed()
    await editor.suggestion(uri, 4, character)
    explained = await editor.ask("longllama/explain")
    return [
        (one["path"], one["first_line"])
        for one in explained["definitions"]
        if one["reason"] == REASON
    ]


async def test_a_function_that_was_renamed_in_another_file_is_shown(tmp_path, root):
    (root / "ship.py").write_text(SHIP)
    settings = tiny(tmp_path, str(write_code_model(tmp_path / "coder")))
    settings["completion"]["recentEdits"] = True
    async with editing(tmp_path, root, settings=settings) as editor:
        ship = editor.open((root / "ship.py").as_uri(), SHIP)
        editor.edit(ship, (0, 4), (0, 8), "moor")
        office = editor.open((root / "office.py").as_uri(), OFFICE)
        assert await shown(editor, office, character=11) == [("ship.py", 1)]
        editor.edit(ship, (0, 4), (0, 8), "dock")
        assert await shown(editor, office, character=10) == []
