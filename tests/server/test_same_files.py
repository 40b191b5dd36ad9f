"""One file with several paths: links to folders and files, hard links, folders that are one."""

import os

import pytest


@pytest.fixture
def link(root):
    """A link to the workspace folder."""
    link = root.parent / "link"
    link.symlink_to(root)
    return link


def put(wire, uri, text, version):
    document = {"uri": uri, "version": version}
    wire.notify("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])


def close(wire, uri):
    wire.notify("textDocument/didClose", textDocument={"uri": uri})


@pytest.mark.parametrize("opened_first", [False, True])
@pytest.mark.parametrize("root_is_link", [False, True])
async def test_the_root_by_a_link_and_the_document_by_its_real_path_or_the_reverse(
    wire, root, link, root_is_link, opened_first
):
    named, other = (link, root) if root_is_link else (root, link)
    disk = (root / "lib.py").read_text()
    uri = (other / "lib.py").as_uri()
    if not opened_first:
        await wire.begin(named)
        await wire.indexed()
        assert wire.engine.texts == {"lib.py": disk}
    else:
        await wire.ask("initialize", processId=None, rootUri=named.as_uri(), capabilities={})
    wire.open(uri, "live = 1\n")
    if opened_first:
        wire.notify("initialized")
        await wire.until(lambda: wire.statuses)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "live = 1\n"}
    put(wire, uri, "live = 2\n", 2)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "live = 2\n"}
    await wire.inline(uri, 0, 8)
    assert (wire.engine.asked[-1].path, wire.engine.asked[-1].repository) == ("lib.py", named.name)
    close(wire, uri)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": disk}


async def test_changes_that_a_client_reports_by_the_other_path(wire, root, link):
    (root / "sub").mkdir()
    await wire.begin(link)
    await wire.indexed()
    (root / "sub" / "new.py").write_text("x = 1\n")
    changes = [{"uri": (root / "sub" / "new.py").as_uri(), "type": 1}]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    await wire.indexed()
    assert wire.engine.texts["sub/new.py"] == "x = 1\n"
    (root / "sub" / "new.py").unlink()
    changes = [{"uri": (root / "sub").as_uri(), "type": 2}]
    wire.notify("workspace/didChangeWatchedFiles", changes=changes)
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})


async def test_a_document_opened_through_a_link_to_a_folder(wire, root):
    (root / "package").mkdir()
    (root / "package" / "a.py").write_text("x = 1\n")
    (root / "inner").symlink_to("package")
    outer = root.parent / "outer"
    outer.symlink_to(root / "package")
    await wire.begin(root)
    for number, folder in enumerate((root / "inner", outer)):
        text = f"live = {number}\n"
        uri = wire.open((folder / "a.py").as_uri(), text)
        await wire.indexed()
        assert wire.engine.texts["package/a.py"] == text
        await wire.inline(uri, 0, 8)
        assert wire.engine.asked[-1].path == "package/a.py"
        close(wire, uri)
        await wire.indexed()
        assert wire.engine.texts["package/a.py"] == "x = 1\n"


@pytest.mark.parametrize("edited", ["target.py", "link.py"])
@pytest.mark.parametrize("kind", ["link", "absolute link", "hard link", "link by a folder's link"])
async def test_links_within_the_folder_follow_the_disk_and_the_editor(wire, root, kind, edited):
    (root / "sub").mkdir()
    (root / "sub" / "target.py").write_text("x = 1\n")
    target, other = root / "sub" / "target.py", root / "link.py"
    if kind == "hard link":
        os.link(target, other)
    elif kind == "link by a folder's link":
        (root / "way").symlink_to("sub")
        other.symlink_to("way/target.py")
    else:
        other.symlink_to(target if kind == "absolute link" else "sub/target.py")
    both = {"sub/target.py": "x = 1\n", "link.py": "x = 1\n"}

    def are(text):
        return {name: wire.engine.texts.get(name) for name in both} == dict.fromkeys(both, text)

    await wire.begin(root)
    await wire.indexed()
    assert are("x = 1\n")
    target.write_text("written = 1\n")
    await wire.until(lambda: are("written = 1\n"))
    other.write_text("written = 22\n")  # through the link
    await wire.until(lambda: are("written = 22\n"))
    uri = wire.open((target if edited == "target.py" else other).as_uri(), "live = 1\n")
    await wire.indexed()
    assert are("live = 1\n")
    put(wire, uri, "live = 2\n", 2)
    await wire.indexed()
    assert are("live = 2\n")
    close(wire, uri)
    await wire.indexed()
    assert are("written = 22\n")


async def test_a_link_whose_target_comes_and_goes(wire, root):
    (root / "link.py").symlink_to("later.py")
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    (root / "later.py").write_text("x = 1\n")
    await wire.until(lambda: wire.engine.texts.get("link.py") == "x = 1\n")
    replaced = root / "scratch"
    replaced.write_text("x = 2222\n")
    replaced.rename(root / "later.py")
    await wire.until(lambda: wire.engine.texts.get("link.py") == "x = 2222\n")
    (root / "later.py").unlink()
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})


async def test_a_link_in_a_chain_is_turned_to_another_file(wire, root):
    (root / "one.py").write_text("x = 1\n")
    (root / "two.py").write_text("x = 22\n")
    (root / "middle.py").symlink_to("one.py")
    (root / "link.py").symlink_to("middle.py")
    await wire.begin(root)
    await wire.indexed()
    assert wire.engine.texts["link.py"] == "x = 1\n"
    (root / "middle.py").unlink()
    (root / "middle.py").symlink_to("two.py")
    await wire.until(lambda: wire.engine.texts.get("link.py") == "x = 22\n")
    (root / "two.py").write_text("x = 333\n")
    await wire.until(lambda: wire.engine.texts.get("link.py") == "x = 333\n")


async def test_a_file_that_is_open_by_two_paths_has_the_text_edited_last(wire, root, link):
    await wire.begin(root)
    one = wire.open((root / "lib.py").as_uri(), "one = 1\n")
    other = wire.open((link / "lib.py").as_uri(), "other = 1\n")
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "other = 1\n"}
    put(wire, one, "one = 2\n", 2)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "one = 2\n"}
    close(wire, one)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": "other = 1\n"}
    close(wire, other)
    await wire.indexed()
    assert wire.engine.texts == {"lib.py": (root / "lib.py").read_text()}


@pytest.mark.parametrize("removed", ["ws", "link"])
async def test_two_workspace_folders_that_are_one_by_a_link(wire, root, link, removed):
    await wire.begin(root, link)
    await wire.indexed()
    assert list(wire.engine.texts.values()) == [(root / "lib.py").read_text()]
    gone = root.parent / removed
    change = {"added": [], "removed": [{"uri": gone.as_uri(), "name": removed}]}
    wire.notify("workspace/didChangeWorkspaceFolders", event=change)
    await wire.indexed()
    (root / "new.py").write_text("x = 1\n")
    await wire.until(lambda: "new.py" in wire.engine.texts)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py", "new.py"}
    back = {"added": change["removed"], "removed": []}
    wire.notify("workspace/didChangeWorkspaceFolders", event=back)
    (root / "again.py").write_text("x = 1\n")
    await wire.until(lambda: "again.py" in wire.engine.texts)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py", "new.py", "again.py"}


async def test_a_workspace_folder_that_lies_in_another_by_a_link(wire, root):
    """Each file is in memory once, as one of the deeper folder."""
    (root / "sub").mkdir()
    (root / "sub" / "a.py").write_text("x = 1\n")
    inner = root.parent / "inner"
    inner.symlink_to(root / "sub")
    await wire.begin(root, inner)
    await wire.indexed()
    assert set(wire.engine.texts) == {"ws/lib.py", "inner/a.py"}
    uri = wire.open((root / "sub" / "a.py").as_uri(), "live = 1\n")
    await wire.indexed()
    assert wire.engine.texts["inner/a.py"] == "live = 1\n"
    close(wire, uri)
    (root / "sub" / "a.py").write_text("written = 1\n")
    await wire.until(lambda: wire.engine.texts["inner/a.py"] == "written = 1\n")
    assert set(wire.engine.texts) == {"ws/lib.py", "inner/a.py"}
    change = {"added": [], "removed": [{"uri": inner.as_uri(), "name": "inner"}]}
    wire.notify("workspace/didChangeWorkspaceFolders", event=change)
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py", "sub/a.py"})


async def test_settings_of_a_repository_that_is_named_by_a_link(wire, root, link):
    await wire.begin(link)
    await wire.indexed()
    (root / "pyproject.toml").write_text("[tool.longllama]\nenable = false\n")
    uri = (root / "pyproject.toml").as_uri()
    wire.notify("workspace/didChangeWatchedFiles", changes=[{"uri": uri, "type": 1}])
    await wire.until(lambda: wire.statuses[-1]["phase"] == "off")
