"""`memory.maxTokens`: who is left out for want of room, and who never is."""

import pytest

TEXT = "x = 1\n" * 10
"""60 bytes, each of which is a token."""


@pytest.fixture
def start_with(start, root, settings):
    """Starts an editor on three files of 60 tokens, with room for some."""
    for name in "abc":
        (root / f"{name}.py").write_text(TEXT)

    async def start_with(max_tokens):
        settings["memory"]["maxTokens"] = max_tokens
        return await start(settings=settings)

    return start_with


async def test_files_are_left_out_until_there_is_room(start_with, root):
    editor = await start_with(100)
    status = await editor.indexed()
    assert (status["files"]["in_memory"], status["files"]["left_out"]) == (2, 1)
    assert (await editor.memory())["c.py"]["reason"] == "budget"
    (root / "a.py").unlink()
    await editor.memory_until(lambda f: f.get("c.py", {}).get("state") == "in_memory")


async def test_a_file_that_is_open_comes_first(start_with, root):
    editor = await start_with(50)
    editor.open((root / "c.py").as_uri(), TEXT)
    await editor.indexed()
    states = {name: file["state"] for name, file in (await editor.memory()).items()}
    assert states == {"a.py": "left_out", "b.py": "left_out", "c.py": "in_memory"}


async def test_a_file_that_is_edited_stays_though_there_is_no_room(start_with, root):
    editor = await start_with(130)
    await editor.indexed()
    (root / "b.py").write_text("x = 1\n" * 15)
    await editor.memory_until(lambda files: files["b.py"]["tokens"] == 90)
    editor.open((root / "c.py").as_uri(), TEXT)
    await editor.memory_until(lambda files: files["c.py"]["state"] == "in_memory")
    await editor.indexed()
    files = await editor.memory()
    assert files["b.py"]["reason"] == "budget"
    assert files["a.py"]["state"] == "in_memory"  # beside c.py there is room for it
    assert (await editor.status())["engine"]["n_tokens"] == 120
