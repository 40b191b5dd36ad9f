"""Definitions as memory, over the real server, with a small model that fills in."""

import asyncio

from tests.code_model import write_code_model
from tests.e2e.editor import editing, tiny

MOORING = "class Berth:\n    def take(self, ship): ...\n\n\ndef moor(ship, berth):\n    pass\n"
SHED = "def paint(wall): ...\n"
OFFICE = "from mooring import moor\n\n\ndef arrive(ship, berth):\n    rope = "


async def test_definitions_are_encoded_in_advance_and_outlive_the_server(tmp_path, root):
    (root / "mooring.py").write_text(MOORING)
    (root / "shed.py").write_text(SHED)
    settings = tiny(tmp_path, str(write_code_model(tmp_path / "coder")))
    settings["completion"]["repositoryContext"] = "memory"
    settings["completion"]["ahead"] = True
    settings.setdefault("memory", {})["persist"] = True
    for _ in range(2):
        async with editing(tmp_path, root, settings=settings) as editor:
            await editor.indexed()
            uri = editor.open((root / "office.py").as_uri(), OFFICE)
            await editor.suggestion(uri, 4, len("    rope = "))
            (moor,) = (await editor.ask("longllama/explain"))["definitions"]
            engine = await everything_encoded(editor)
        assert (moor["path"], moor["name"]) == ("mooring.py", "moor")
        assert engine["encoded_definitions"] == 3
        assert engine["definition_bytes"] > 0
    assert any((tmp_path / "cache").rglob("encoded-definitions/records-*.bin"))


async def test_nothing_is_encoded_where_definitions_stand_in_the_prompt(tmp_path, root):
    (root / "mooring.py").write_text(MOORING)
    settings = tiny(tmp_path, str(write_code_model(tmp_path / "coder")))
    async with editing(tmp_path, root, settings=settings) as editor:
        await editor.indexed()
        uri = editor.open((root / "office.py").as_uri(), OFFICE)
        await editor.suggestion(uri, 4, len("    rope = "))
        engine = (await editor.ask("longllama/status"))["engine"]
    assert engine["encoded_definitions"] == 0


async def everything_encoded(editor):
    """Wait until no definition is left to encode; return the engine's status."""
    while True:
        engine = (await editor.ask("longllama/status"))["engine"]
        if engine["encoded_definitions"] and not engine["files_to_encode"]:
            return engine
        await asyncio.sleep(0.1)
