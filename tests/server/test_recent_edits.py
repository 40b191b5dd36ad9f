"""Recent edits go to the engine with requests: of other files too, but of no private one."""

import pytest

ON = {"completion": {"recentEdits": True}, "trigger": {"debounceMs": 0}}


def edit(wire, uri, version, line, start, end, text):
    span = {
        "start": {"line": line, "character": start},
        "end": {"line": line, "character": end},
    }
    wire.notify(
        "textDocument/didChange",
        textDocument={"uri": uri, "version": version},
        contentChanges=[{"range": span, "text": text}],
    )


async def asked(wire, uri):
    await wire.indexed()
    n_asked = len(wire.engine.asked)
    await wire.inline(uri, 0, 0)
    assert len(wire.engine.asked) > n_asked
    return [
        (one.path, one.before, one.after, one.line) for one in wire.engine.asked[-1].recent_edits
    ]


@pytest.fixture
def files(root):
    for name in ("ship.py", "office.py"):
        (root / name).write_text("def dock(ship): ...\nlast = 1\n")
    return root


def opened(wire, root, name="ship.py"):
    return wire.open((root / name).as_uri(), (root / name).read_text())


async def test_an_edit_of_another_file_is_told_until_it_is_undone(wire, files):
    await wire.begin(files, options=ON)
    ship, office = opened(wire, files), opened(wire, files, "office.py")
    assert await asked(wire, office) == []
    edit(wire, ship, 2, 0, 4, 8, "moor")
    edit(wire, ship, 3, 0, 13, 13, ", berth")
    told = ("ship.py", "def dock(ship): ...", "def moor(ship, berth): ...", 1)
    assert await asked(wire, office) == [told]
    wire.notify("textDocument/didClose", textDocument={"uri": ship})
    (files / "ship.py").write_text("def moor(ship, berth): ...\nlast = 1\n")
    assert await asked(wire, office) == [told]  # it was saved and closed
    opened(wire, files)
    assert await asked(wire, office) == [told]
    edit(wire, ship, 2, 0, 0, 26, "def dock(ship): ...")
    assert await asked(wire, office) == []


async def test_a_setting_turns_it_off(wire, files):
    await wire.begin(files, options={**ON, "completion": {"recentEdits": False}})
    ship, office = opened(wire, files), opened(wire, files, "office.py")
    edit(wire, ship, 2, 0, 4, 8, "moor")
    assert await asked(wire, office) == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("secrets.json", {}),
        ("deploy/server.pem", {}),
        ("gen/ship.py", {"disabledGlobs": ["gen/**"]}),
        ("ship.py", {"enableLanguages": {"made-up": False}}),
        ("ignored.py", {}),
        ("keys.py", {}),
    ],
)
async def test_edits_of_private_files_are_told_nobody(wire, files, name, options):
    (files / ".gitignore").write_text("ignored.py\n")
    path = files / name
    path.parent.mkdir(exist_ok=True)
    key = "".join(["AK", "IA", "Q3EGHRWZ5LKXJ7UB"])
    path.write_text(f'KEY = "{key}"\n' if name == "keys.py" else "x = 1\n")
    await wire.begin(files, options={**ON, **options})
    uri = wire.open(path.as_uri(), path.read_text(), "made-up")
    office = opened(wire, files, "office.py")
    edit(wire, uri, 2, 1, 0, 0, "y = 2\n")
    assert await asked(wire, office) == []


async def test_a_secret_that_was_just_typed_is_told_nobody(wire, files):
    await wire.begin(files, options=ON)
    ship, office = opened(wire, files), opened(wire, files, "office.py")
    await wire.indexed()
    edit(wire, ship, 2, 0, 0, 0, "".join(["key = 'AK", "IA", "Q3EGHRWZ5LKXJ7UB'\n"]))
    await wire.inline(office, 0, 0)
    assert wire.engine.asked[-1].recent_edits == ()
    assert await asked(wire, office) == []


async def test_a_document_without_a_file_has_no_edits(wire, files):
    await wire.begin(files, options=ON)
    untitled = wire.open("untitled:Untitled-1", "x = 1\n")
    office = opened(wire, files, "office.py")
    edit(wire, untitled, 2, 0, 0, 1, "y")
    assert await asked(wire, office) == []


async def test_names_are_checked_where_memory_has_all_other_files_as_they_are(wire, files):
    await wire.begin(files, options=ON)
    ship, office = opened(wire, files), opened(wire, files, "office.py")

    async def checks_names():
        await wire.inline(office, 0, 0)
        return wire.engine.asked[-1].existing_names

    await wire.indexed()
    assert await checks_names()
    edit(wire, ship, 2, 0, 4, 8, "moor")
    assert not await checks_names()  # the index has the former name
    await wire.indexed()
    assert await checks_names()
    edit(wire, office, 2, 0, 4, 8, "moor")
    assert await checks_names()  # the file's own text is in the request
    await wire.indexed()
    await wire.command("longllama.pauseIndexing")
    assert not await checks_names()
    await wire.command("longllama.resumeIndexing")
    await wire.indexed()
    assert await checks_names()
