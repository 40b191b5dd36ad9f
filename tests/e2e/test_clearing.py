"""Clearing what is stored on disk: nothing is left, and all of it can be had again."""

from lsprotocol import types

from tests.e2e.editor import soon

LINES = [f"def moor_{number}(ship):\n    return ship.berth + {number}\n" for number in range(40)]
SECRET_NAME = b"moor_17"
MOST_LEFT_BYTES = 400_000
"""Empty databases."""


def on_disk(folder):
    """Bytes of a folder's files, and the files in which a name of the sources stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    named = [path.name for path in files if SECRET_NAME in path.read_bytes()]
    return sum(path.stat().st_size for path in files), named


async def test_nothing_is_left_until_the_repository_is_read_again(
    start, root, tmp_path, model_settings
):
    for number in range(4):
        (root / f"lib{number}.py").write_text("\n".join(LINES[number::4]))
    editor = await start(settings=model_settings)
    before = (await editor.indexed())["files"]
    stored, _ = on_disk(tmp_path / "cache")
    answer = await editor.ask("longllama/clearStore")
    left, named = on_disk(tmp_path / "cache")
    assert answer["n_bytes"] > MOST_LEFT_BYTES > left
    assert stored - left >= answer["n_bytes"] * 0.9
    assert (answer["kept_bytes"], answer["problem"], named) == (0, None, [])
    status = await editor.status()
    assert (status["phase"], status["files"]["in_memory"]) == ("paused", 0)
    assert status["engine"]["n_files"] == status["engine"]["stored_bytes"] == 0
    await editor.command("longllama.resumeIndexing")
    assert (await editor.indexed())["files"]["tokens"] == before["tokens"]


async def test_the_command_says_it_in_words_and_a_second_one_finds_nothing(
    start, root, model_settings
):
    (root / "lib.py").write_text(LINES[0])
    editor = await start(settings=model_settings)
    await editor.indexed()
    for _ in range(2):
        params = types.ExecuteCommandParams("longllama.clearStore")
        answer = await soon(editor.workspace_execute_command_async(params))
        said = editor.messages.pop()
        assert said.startswith(f"{answer['n_bytes'] / 1e6:,.1f} MB were removed from disk. Nothing")
    assert answer["n_segments"] == 0


async def test_without_an_engine_nothing_is_removed_and_reading_goes_on(start, settings):
    editor = await start(settings={**settings, "enable": False})
    answer = await editor.ask("longllama/clearStore")
    assert answer["problem"] == "the engine is not running"
    await editor.command("longllama.clearStore")
    assert editor.messages.pop() == "Nothing was removed: the engine is not running."
