"""Chunks of other files in the prompt, over the real server, with a small model that fills in."""

from lsprotocol import types

from tests.code_model import write_code_model
from tests.e2e.editor import editing, tiny

MOORING = "def moor(ship, berth):\n    rope = berth.rope_for(ship)\n    return rope\n"
OFFICE = "from mooring import moor\n\n\ndef arrive(ship, berth):\n    rope = "


async def test_the_setting_says_what_a_prompt_shows_of_other_files(tmp_path, root):
    (root / "mooring.py").write_text(MOORING)
    (root / "shed.py").write_text("wall.colour = paint\n")
    settings = tiny(tmp_path, str(write_code_model(tmp_path / "coder")))

    async def shown(context):
        settings["completion"]["repositoryContext"] = context
        params = types.DidChangeConfigurationParams({"longllama": settings})
        editor.workspace_did_change_configuration(params)
        await editor.suggestion(uri, 4, len("    rope = "))
        (each,) = (await editor.ask("longllama/explain"))["definitions"]
        return each

    async with editing(tmp_path, root, settings=settings) as editor:
        await editor.indexed()
        uri = editor.open((root / "office.py").as_uri(), OFFICE)
        chunk, definition = await shown("similar"), await shown("definitions")
        assert await shown("similar") == chunk
    assert (chunk["path"], chunk["name"]) == ("mooring.py", "lines 1-3")
    assert (chunk["first_line"], chunk["last_line"], chunk["is_named"]) == (1, 3, False)
    assert chunk["reason"] == "similar to the text before the cursor"
    assert chunk["n_tokens"] == len(MOORING)
    assert (definition["path"], definition["name"]) == ("mooring.py", "moor")
