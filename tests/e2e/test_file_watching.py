"""What happens on the real disk reaches the memory: all of it, and no more work than it takes.

One server watches a folder; each test works in a subfolder of its own.
"""

import os

import pytest
import pytest_asyncio
from lsprotocol import types

from tests.e2e.editor import editing, scripted, tiny
from tests.git_commands import git

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_FILE_BYTES = 20_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def editor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watching")
    (folder / "ws").mkdir()
    settings = tiny(folder)
    settings["memory"]["maxFileBytes"] = MAX_FILE_BYTES
    async with editing(folder, folder / "ws", settings=settings) as editor:
        editor.root = folder / "ws"
        await editor.indexed()
        yield editor


@pytest.fixture
def sub(editor, request):
    """A folder in the workspace for one test."""
    folder = editor.root / request.node.name.removeprefix("test_")
    folder.mkdir()
    return folder


def is_in_memory(files, path, root):
    file = files.get(path.relative_to(root).as_posix())
    return file is not None and file["state"] == "in_memory"


async def in_memory(editor, *paths):
    """Wait for files to be remembered."""
    return await editor.memory_until(
        lambda files: all(is_in_memory(files, path, editor.root) for path in paths)
    )


async def gone(editor, *paths):
    """Wait for files to be forgotten."""
    names = {path.relative_to(editor.root).as_posix() for path in paths}
    return await editor.memory_until(lambda files: not names & files.keys())


async def left_out(editor, path, reason):
    name = path.relative_to(editor.root).as_posix()
    files = await editor.memory_until(lambda files: files.get(name, {}).get("reason") == reason)
    assert files[name]["tokens"] == 0


async def encoded(editor):
    """Segments encoded so far, by the server's and by the engine's count."""
    status = await editor.indexed()
    counts = status["files"]["segments_encoded"], status["engine"]["encoded_segments"]
    assert counts[0] == counts[1]
    return counts[0]


def functions(numbers, body="x"):
    """A function of one segment for each number: large enough to stand alone."""
    return "\n\n".join(
        f"def function_{number}(x):\n" + f"    # {body} {'-' * 40}\n" * 6 + f"    return {number}\n"
        for number in numbers
    )


async def test_a_file_is_created_changed_and_deleted(editor, sub):
    file = sub / "a.py"
    file.write_text("x = 1\n")
    files = await in_memory(editor, file)
    assert files[f"{sub.name}/a.py"]["tokens"] == 6
    file.write_text("x = 1\ny = 2\n")
    await editor.memory_until(lambda files: files[f"{sub.name}/a.py"]["tokens"] == 12)
    before = (await editor.status())["engine"]
    file.unlink()
    await gone(editor, file)
    after = (await editor.status())["engine"]
    assert before["n_tokens"] - after["n_tokens"] == 12
    assert before["n_files"] - after["n_files"] == 1


async def test_a_file_is_renamed(editor, sub):
    old, new = sub / "old.py", sub / "new.py"
    old.write_text("x = 1\n")
    await in_memory(editor, old)
    old.rename(new)
    files = await in_memory(editor, new)
    assert f"{sub.name}/old.py" not in files


async def test_an_editor_saves_by_renaming(editor, sub):
    file, scratch = sub / "a.py", sub / ".a.py.swp"
    file.write_text("x = 1\n")
    await in_memory(editor, file)
    scratch.write_text("x = 1\ny = 2\n")
    scratch.rename(file)
    await editor.memory_until(lambda files: files[f"{sub.name}/a.py"]["tokens"] == 12)


async def test_a_folder_is_created_renamed_and_deleted(editor, sub):
    (sub / "one" / "deep").mkdir(parents=True)
    (sub / "one" / "deep" / "a.py").write_text("x = 1\n")
    (sub / "one" / "b.py").write_text("y = 1\n")
    await in_memory(editor, sub / "one" / "deep" / "a.py", sub / "one" / "b.py")
    (sub / "one").rename(sub / "two")
    files = await in_memory(editor, sub / "two" / "deep" / "a.py", sub / "two" / "b.py")
    assert not [name for name in files if name.startswith(f"{sub.name}/one")]
    (sub / "two" / "deep" / "a.py").unlink()
    (sub / "two" / "deep").rmdir()
    (sub / "two").rename(editor.root.parent / "moved out")
    await gone(editor, sub / "two" / "deep" / "a.py", sub / "two" / "b.py")


async def test_another_branch_is_checked_out(editor, sub):
    git(sub, "init")
    (sub / "both.py").write_text("x = 1\n")
    (sub / "main.py").write_text("y = 1\n")
    git(sub, "add", ".")
    git(sub, "commit", "-m", "main")
    git(sub, "checkout", "-b", "topic")
    (sub / "both.py").write_text("x = 1\nz = 2\n")
    (sub / "main.py").unlink()
    (sub / "topic.py").write_text("t = 1\n")
    git(sub, "add", ".")
    git(sub, "commit", "-m", "topic")
    await in_memory(editor, sub / "topic.py")
    git(sub, "checkout", "main")
    files = await in_memory(editor, sub / "main.py")
    assert f"{sub.name}/topic.py" not in files
    assert files[f"{sub.name}/both.py"]["tokens"] == 6
    # Back on the branch, everything is still on disk.
    before = await encoded(editor)
    git(sub, "checkout", "topic")
    files = await in_memory(editor, sub / "topic.py")
    assert files[f"{sub.name}/both.py"]["tokens"] == 12
    assert await encoded(editor) == before


async def test_gitignore_is_edited(editor, sub):
    (sub / "a.py").write_text("x = 1\n")
    (sub / "b.py").write_text("y = 1\n")
    await in_memory(editor, sub / "a.py", sub / "b.py")
    (sub / ".gitignore").write_text("b.py\n")
    await left_out(editor, sub / "b.py", "ignored")
    (sub / ".gitignore").unlink()
    await in_memory(editor, sub / "a.py", sub / "b.py")


async def test_what_two_say_is_done_once(editor, sub):
    file = sub / "a.py"
    before = await encoded(editor)
    file.write_text("x = 1\n")
    change = types.FileEvent(file.as_uri(), types.FileChangeType.Created)
    for _ in range(3):
        editor.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
    await in_memory(editor, file)
    assert await encoded(editor) == before + 1
    stored = (await editor.status())["engine"]["n_files"]
    editor.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([change]))
    assert await encoded(editor) == before + 1
    assert (await editor.status())["engine"]["n_files"] == stored


async def test_an_edit_on_disk_encodes_the_changed_segments(editor, sub):
    file = sub / "a.py"
    before = await encoded(editor)
    file.write_text(functions(range(8)))
    await in_memory(editor, file)
    whole = await encoded(editor) - before
    assert whole == 8
    file.write_text(functions(range(8)).replace("return 5", "return -5"))
    await editor.memory_until(
        lambda files: files[f"{sub.name}/a.py"]["tokens"] == len(functions(range(8))) + 1
    )
    assert await encoded(editor) - before - whole == 1


async def test_an_edit_in_the_editor_encodes_the_changed_segment(editor, sub):
    file, text = sub / "a.py", functions(range(8))
    file.write_text(text)
    await in_memory(editor, file)
    before = await encoded(editor)
    uri = editor.open(file.as_uri(), text)
    assert await encoded(editor) == before
    line = text[: text.index("return 3")].count("\n")
    editor.edit(uri, (line, 11), (line, 12), "300")
    assert await encoded(editor) == before + 1
    files = await editor.memory()
    assert files[f"{sub.name}/a.py"]["tokens"] == len(text) + 2
    editor.close_document(uri)
    assert await encoded(editor) == before + 1
    assert (await editor.memory())[f"{sub.name}/a.py"]["tokens"] == len(text)


async def test_typing_is_remembered_when_it_rests(editor, sub):
    """Without anybody asking for it."""
    file = sub / "a.py"
    file.write_text("x = 1\n")
    await in_memory(editor, file)
    uri = editor.open(file.as_uri(), "x = 1\n")
    editor.edit(uri, (1, 0), (1, 0), "y = 2\n")
    await editor.memory_until(lambda files: files[f"{sub.name}/a.py"]["tokens"] == 12)
    editor.close_document(uri)
    await editor.indexed()


async def test_the_editor_counts_and_not_the_disk(editor, sub):
    file = sub / "a.py"
    file.write_text("x = 1\n")
    uri = editor.open(file.as_uri(), "x = 1 + 1\n")
    await editor.memory_until(lambda files: files[f"{sub.name}/a.py"]["tokens"] == 10)
    (sub / "later.py").write_text("z = 1\n")
    file.write_text("the disk says something else altogether\n")
    await in_memory(editor, sub / "later.py")
    await editor.indexed()
    assert (await editor.memory())[f"{sub.name}/a.py"]["tokens"] == 10
    editor.close_document(uri)
    await editor.indexed()
    assert (await editor.memory())[f"{sub.name}/a.py"]["tokens"] == 40


async def test_an_empty_file_with_text_in_the_editor(editor, sub):
    file = sub / "a.py"
    file.touch()
    await left_out(editor, file, "empty")
    uri = editor.open(file.as_uri(), "")
    editor.edit(uri, (0, 0), (0, 0), "x = 1\n")
    await editor.indexed()
    assert (await editor.memory())[f"{sub.name}/a.py"]["tokens"] == 6
    editor.close_document(uri)
    await editor.indexed()
    await left_out(editor, file, "empty")


async def test_what_stays_out_is_listed_with_its_reason(editor, sub):
    outside = editor.root.parent / "outside.py"
    outside.write_text("x = 1\n")
    (sub / "link.py").symlink_to(outside)
    (sub / ".env").write_text("TOKEN=1\n")
    (sub / "large.py").write_text("x = 1\n" * MAX_FILE_BYTES)
    (sub / "binary.py").write_bytes(b"x\0y")
    (sub / "latin.py").write_bytes("é".encode("latin-1"))
    (sub / "picture.png").write_bytes(b"\x89PNG")
    (sub / "package-lock.json").write_text("{}\n")
    await left_out(editor, sub / "link.py", "symlink_outside")
    await left_out(editor, sub / ".env", "secret")
    await left_out(editor, sub / "large.py", "too_large")
    await left_out(editor, sub / "binary.py", "binary")
    await left_out(editor, sub / "latin.py", "not_utf8")
    await left_out(editor, sub / "picture.png", "unknown_type")
    await left_out(editor, sub / "package-lock.json", "generated")


async def test_a_secret_stays_out_even_if_it_is_open(editor, sub):
    file = sub / ".env"
    file.write_text("TOKEN=1\n")
    uri = editor.open(file.as_uri(), "TOKEN=12345\n")
    await editor.indexed()
    await left_out(editor, file, "secret")
    editor.close_document(uri)


async def test_a_file_that_grows_too_large_is_forgotten(editor, sub):
    file = sub / "a.py"
    file.write_text("x = 1\n")
    await in_memory(editor, file)
    file.write_text("x = 1\n" * MAX_FILE_BYTES)
    await left_out(editor, file, "too_large")


async def test_a_scan_reads_only_what_was_written(editor, sub):
    (sub / "a.py").write_text("x = 1\n")
    await in_memory(editor, sub / "a.py")
    before = (await editor.indexed())["files"]
    (sub / "folder").mkdir()  # a new folder makes the server look at everything
    (sub / "folder" / "b.py").write_text("y = 1\n")
    await in_memory(editor, sub / "folder" / "b.py")
    after = (await editor.indexed())["files"]
    assert after["segments_kept"] == before["segments_kept"]
    await editor.command("longllama.reindex")
    await editor.indexed()
    assert (await editor.status())["files"]["segments_kept"] > after["segments_kept"]


async def test_workspace_folders_come_and_go(tmp_path):
    one, two, inner = tmp_path / "one", tmp_path / "two", tmp_path / "one" / "inner"
    for folder in (one, inner, two):
        folder.mkdir()
        (folder / "a.py").write_text(f"name = '{folder.name}'\n")

    async def change(added=(), removed=()):
        event = types.WorkspaceFoldersChangeEvent(
            *(
                [types.WorkspaceFolder(folder.as_uri(), folder.name) for folder in folders]
                for folders in (added, removed)
            )
        )
        params = types.DidChangeWorkspaceFoldersParams(event)
        editor.workspace_did_change_workspace_folders(params)

    async def names(*expected):
        files = await editor.memory_until(lambda files: files.keys() == set(expected))
        assert (await editor.status())["engine"]["n_files"] == len(files) == len(expected)

    async with editing(tmp_path, one) as editor:
        await editor.indexed()
        await names("a.py", "inner/a.py")
        await change(added=[two])
        await names("one/a.py", "one/inner/a.py", "two/a.py")
        (two / "b.py").write_text("later = True\n")
        await names("one/a.py", "one/inner/a.py", "two/a.py", "two/b.py")
        await change(removed=[two], added=[inner])
        await names("one/a.py", "inner/a.py")
        await change(removed=[inner])
        await names("a.py", "inner/a.py")
        await change(removed=[one])
        await names()


async def test_folders_of_one_name_are_kept_apart(tmp_path):
    one, two = tmp_path / "one" / "app", tmp_path / "two" / "app"
    for folder in (one, two):
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("x = 1\n")
    async with editing(tmp_path, one, two) as editor:
        status = await editor.indexed()
        assert status["files"]["in_memory"] == status["engine"]["n_files"] == 2


async def test_a_workspace_folder_that_does_not_exist(tmp_path):
    async with editing(tmp_path, tmp_path / "nowhere") as editor:
        assert (await editor.indexed())["phase"] == "ready"
        assert "nowhere cannot be watched" in editor.messages.pop()


async def test_patterns_of_the_settings(tmp_path):
    root = tmp_path / "ws"
    root.mkdir()
    for name in ("a.py", "b.py", "c.md"):
        (root / name).write_text("x = 1\n")
    (root / ".longllamaignore").write_text("b.py\n")
    settings = scripted(tmp_path)
    settings["memory"]["exclude"] = ["*.md"]
    async with editing(tmp_path, root, settings=settings) as editor:
        await editor.indexed()
        reasons = {name: file["reason"] for name, file in (await editor.memory()).items()}
        assert reasons["a.py"] is None
        assert reasons["b.py"] == reasons["c.md"] == "ignored"


async def test_a_bad_pattern_is_named_and_does_not_count(tmp_path):
    root = tmp_path / "ws"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    settings = scripted(tmp_path)
    settings["memory"]["exclude"] = ["!"]
    async with editing(tmp_path, root, settings=settings) as editor:
        assert (await editor.indexed())["files"]["in_memory"] == 1
        assert (
            'longllama.memory.exclude is ["!"]: "!" is not a gitignore pattern'
            in editor.messages.pop()
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_cannot_be_read(editor, sub):
    file = sub / "a.py"
    file.write_text("x = 1\n")
    file.chmod(0)
    await left_out(editor, file, "unreadable")
