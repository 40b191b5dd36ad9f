"""Two hundred secret files in a workspace: none reaches memory, the cache on disk, or the log."""

import pytest

from tests.source_files.planted import N_FILES, files

CODE = "def frobnicate(left, right):\n    return left * 31 + right\n"


@pytest.fixture
def planted(root):
    """The marks of all planted secrets, by the path of their file."""
    marks = {}
    for name, text, mark in files():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        marks[name] = mark
    assert len(marks) == N_FILES
    (root / "lib.py").write_text(CODE)
    return marks


async def test_no_planted_secret_is_anywhere(start, root, model_settings, planted, tmp_path):
    editor = await start(settings={**model_settings, "log": {"level": "debug"}})
    # One is opened and typed on: its live text counts, and must stay out all the same.
    name = next(name for name in planted if name.startswith("inside/"))
    text = (root / name).read_text()
    uri = editor.open((root / name).as_uri(), text)
    editor.edit(uri, (0, 0), (0, 0), "x = 1\n")
    env = editor.open((root / "named/.env").as_uri(), (root / "named/.env").read_text())
    assert await editor.items(env, 0, 3) == []
    assert await editor.last_reason() == "secret_file"

    status = await editor.indexed()
    known = await editor.memory()
    in_memory = {path for path, file in known.items() if file["state"] == "in_memory"}
    assert in_memory == {"lib.py"}
    assert status["engine"]["n_files"] == 1
    assert status["engine"]["n_tokens"] == len(CODE)
    inside = {file["reason"] for path, file in known.items() if path.startswith("inside/")}
    assert inside == {"secret_inside"}

    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    stored = b"".join(path.read_bytes() for path in kept)
    log = editor.log()
    for name, mark in planted.items():
        assert mark.encode() not in stored, f"{name} is in the cache"
        assert mark not in log, f"{name} is in the log"


async def test_a_secret_that_is_typed_leaves_memory_and_comes_back_without(start, root):
    path = root / "a.py"
    path.write_text(CODE)
    editor = await start()
    await editor.indexed()
    assert set(await editor.memory()) == {"a.py"}
    key = "".join(["AK", "IA", "Q3EGHRWZ5LKXJ7UB"])
    path.write_text(f'{CODE}key = "{key}"\n')
    await editor.memory_until(lambda files: files["a.py"]["reason"] == "secret_inside")
    assert (await editor.status())["engine"]["n_files"] == 0
    path.write_text(CODE + "y = 2\n")
    await editor.memory_until(lambda files: files["a.py"]["state"] == "in_memory")
