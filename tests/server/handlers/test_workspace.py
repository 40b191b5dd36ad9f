"""Folders, files and settings that change while the server runs, and who tells of them."""

import asyncio

from lsprotocol import types

from longllama_code.model_sources.default_model import AUTO, chosen_model

DYNAMIC = {
    "textDocument": {"inlineCompletion": {}},
    "workspace": {
        "configuration": True,
        "didChangeConfiguration": {"dynamicRegistration": True},
        "didChangeWatchedFiles": {"dynamicRegistration": True},
        "fileOperations": {"didCreate": True, "didRename": True, "didDelete": True},
        "workspaceFolders": True,
    },
    "notebookDocument": {"synchronization": {}},
}


async def test_wishes_are_registered_where_the_client_takes_them(wire, root):
    await wire.begin(root, can=DYNAMIC)
    (params,) = wire.said("client/registerCapability")
    wishes = {wish["method"]: wish["registerOptions"] for wish in params["registrations"]}
    assert wishes == {
        "workspace/didChangeConfiguration": {"section": "longllama"},
        "workspace/didChangeWatchedFiles": {"watchers": [{"globPattern": "**/*"}]},
    }


async def test_nothing_is_registered_where_it_is_not(wire, root):
    await wire.begin(root)
    assert wire.said("client/registerCapability") == []


async def test_file_operations_are_advertised_to_clients_that_have_them(wire, root):
    can = (await wire.begin(root, can=DYNAMIC))["capabilities"]["workspace"]["fileOperations"]
    assert set(can) == {"didCreate", "didRename", "didDelete"}


async def test_files_renamed_and_deleted_in_the_editor(wire, root):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    # As of a system that tells nothing of its files: the client alone does.
    await asyncio.to_thread(wire.server.session.folders._watcher.stop)
    old, new = root / "lib.py", root / "other.py"
    old.rename(new)
    files = [{"oldUri": old.as_uri(), "newUri": new.as_uri()}]
    wire.notify("workspace/didRenameFiles", files=files)
    await wire.until(lambda: set(wire.engine.texts) == {"other.py"})
    new.unlink()
    wire.notify("workspace/didDeleteFiles", files=[{"uri": new.as_uri()}])
    await wire.until(lambda: not wire.engine.texts)
    old.write_text("x = 1\n")
    wire.notify("workspace/didCreateFiles", files=[{"uri": old.as_uri()}])
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})
    wire.server.session.folders._watcher = None


async def test_workspace_folders_come_and_go(wire, root, tmp_path):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.py").write_text("y = 2\n")
    folder = {"uri": other.as_uri(), "name": "other"}
    event = {"added": [folder], "removed": []}
    wire.notify("workspace/didChangeWorkspaceFolders", event=event)
    await wire.until(lambda: set(wire.engine.texts) == {"ws/lib.py", "other/b.py"})
    event = {"added": [], "removed": [folder]}
    wire.notify("workspace/didChangeWorkspaceFolders", event=event)
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})


async def test_a_change_that_both_tell_of_is_taken_in_once(wire, root):
    await wire.begin(root, can=DYNAMIC)
    await wire.indexed()
    path = root / "lib.py"
    n_before = wire.engine.n_remembered
    path.write_text("changed = True\n")
    await wire.until(lambda: wire.engine.texts["lib.py"] == "changed = True\n")
    assert wire.engine.n_remembered == n_before + 1
    changes = [{"uri": path.as_uri(), "type": types.FileChangeType.Changed.value}]
    for _ in range(3):
        wire.notify("workspace/didChangeWatchedFiles", changes=changes)
        wire.notify("textDocument/didSave", textDocument={"uri": path.as_uri()})
        await wire.indexed()
    assert wire.engine.n_remembered == n_before + 1


async def test_limits_and_patterns_change_without_a_new_engine(wire, root):
    (root / "gen").mkdir()
    (root / "gen" / "a.py").write_text("x = 1\n")
    (root / "large.py").write_text("y = 2\n" * 100)
    await wire.begin(root)
    await wire.indexed()
    engine = wire.engine
    assert set(engine.texts) == {"lib.py", "gen/a.py", "large.py"}

    def configure(**memory):
        wire.notify("workspace/didChangeConfiguration", settings={"longllama": {"memory": memory}})

    configure(exclude=["gen/"])
    await wire.until(lambda: set(engine.texts) == {"lib.py", "large.py"})
    configure(maxFileBytes=100)
    await wire.until(lambda: set(engine.texts) == {"lib.py", "gen/a.py"})
    configure(maxTokens=48)
    await wire.until(lambda: len(engine.texts) == 1 and len("".join(engine.texts.values())) <= 48)
    configure()
    await wire.until(lambda: set(engine.texts) == {"lib.py", "gen/a.py", "large.py"})
    assert wire.engine is engine


async def test_another_model_needs_another_engine(wire, root):
    await wire.begin(root)
    engine = wire.engine
    settings = {"longllama": {"model": {"path": "tiny"}}}
    wire.notify("workspace/didChangeConfiguration", settings=settings)
    await wire.until(lambda: wire.engine is not engine)
    assert wire.engine.options.engine.model == "tiny"


async def test_the_repositorys_own_settings_are_followed_as_they_change(wire, root):
    (root / "pyproject.toml").write_text('[tool.longllama]\nmemory.exclude = ["*.toml"]\n')
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py"}
    (root / "pyproject.toml").write_text("[tool.longllama]\nenable = false\n")
    await wire.until(lambda: wire.statuses[-1]["phase"] == "off")
    (root / "pyproject.toml").write_text('[tool.longllama]\nmodel.path = "/evil"\n')
    identifier = {"uri": (root / "pyproject.toml").as_uri()}
    wire.notify("textDocument/didSave", textDocument=identifier)  # off, nothing is watched
    await wire.until(lambda: wire.messages)
    assert "a repository's pyproject.toml may not set it" in wire.messages[-1]
    await wire.indexed()
    assert wire.engine.options.engine.model == chosen_model(AUTO).name
