"""A folder that is known is not encoded again, whatever folders are open beside it."""

import pytest

from tests.e2e.editor import editing, tiny

pytestmark = pytest.mark.asyncio

TEXTS = {
    "one/lib/ships.py": "def moor(ship, berth):\n    return berth.take(ship)\n",
    "one/main.py": "from lib.ships import moor\n\nmoor(1, 2)\n",
    "two/main.py": "print('another')\n",
}


async def indexed(folder, *names):
    """The server's status once these folders are in memory, in an engine of their own."""
    roots = [folder / name for name in names]
    async with editing(folder, *roots, settings=tiny(folder)) as editor:
        return (await editor.indexed())["files"]


async def test_a_known_folder_is_read_from_disk_whatever_stands_beside_it(tmp_path):
    for name, text in TEXTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    first = await indexed(tmp_path, "one")
    assert (first["in_memory"], first["segments_loaded"]) == (2, 0)
    both = await indexed(tmp_path, "one", "two")
    assert both["in_memory"] == 3
    assert both["segments_loaded"] == first["segments_encoded"]
    assert both["segments_encoded"] == 1
    again = await indexed(tmp_path, "two")
    assert (again["segments_encoded"], again["segments_loaded"]) == (0, 1)
