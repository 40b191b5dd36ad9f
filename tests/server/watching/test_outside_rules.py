"""Edits of git's rules that no watcher reports reach the memory."""

import asyncio
import errno
import shutil
import subprocess
from functools import partial

import pytest
import pytest_asyncio

from longllama_code.source_files.ignore import IgnoreRules
from longllama_code.source_files.workspace import Workspace
from lsp_server.watching import outside_rules
from lsp_server.watching.outside_rules import OutsideRules
from tests.deadline import DEADLINE_S


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
async def test_an_edit_of_the_exclude_file_while_the_server_runs(wire, root):
    subprocess.run(["git", "init", "--quiet", "."], cwd=root, check=True)
    (root / "left.py").write_text("x = 1\n")
    await wire.begin(root)
    await wire.indexed()
    assert set(wire.engine.texts) == {"lib.py", "left.py"}
    exclude = root / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("left.py\n")
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py"})
    exclude.unlink()
    await wire.until(lambda: set(wire.engine.texts) == {"lib.py", "left.py"})


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


@pytest.fixture
def top(tmp_path, home):
    """A repository beside the home, with rules of its own."""
    folder = tmp_path / "top"
    (folder / ".git" / "info").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


class Followed:
    """Rules that are followed, and how often they were looked at."""

    def __init__(self, top, is_reported=lambda _: False):
        self.rules, self.n_looks, self.changed = OutsideRules(), 0, asyncio.Event()
        self.workspace = Workspace(rules=partial(IgnoreRules, on_met=self.rules.add))
        self.workspace.add(top)
        self.workspace.ignores_folder(top / "any")
        self.task = asyncio.create_task(
            self.rules.follow(self.looked_at, is_reported, self.changed.set)
        )

    def looked_at(self):
        self.n_looks += 1
        return self.workspace

    async def change(self):
        """Wait for news, which make the rules be read again."""
        await asyncio.wait_for(self.changed.wait(), DEADLINE_S)
        self.changed.clear()
        self.workspace.ignores_folder(self.workspace.roots[0] / "any")

    async def rest(self):
        """Wait until nothing is looked at any more, after a first look.

        In short waits: if the whole process stands still for a while, most of them are yet to come.
        """
        seen = n_quiet = 0
        while n_quiet < 10:
            await asyncio.sleep(0.05)
            n_quiet = n_quiet + 1 if self.n_looks == seen > 0 else 0
            seen = self.n_looks


@pytest_asyncio.fixture
async def follow(top, monkeypatch):
    monkeypatch.setattr(outside_rules, "INTERVAL_S", 0.05)
    begun = []

    def begin(**how):
        begun.append(Followed(top, **how))
        return begun[-1]

    yield begin
    for each in begun:
        each.task.cancel()
        await asyncio.gather(each.task, return_exceptions=True)


watched = pytest.mark.skipif(not outside_rules.CAN_WATCH, reason="these files are looked at")


@watched
async def test_nothing_is_looked_at_while_nothing_changes(follow):
    followed = follow()
    await followed.rest()  # polled, this would not end
    assert not followed.changed.is_set()


@watched
async def test_a_users_own_file_is_noticed_though_not_even_its_folder_existed(follow, home):
    followed = follow()
    await followed.rest()
    folder = home / ".config" / "git"
    folder.parent.mkdir()
    await followed.rest()
    folder.mkdir()
    await followed.rest()
    (folder / "ignore").write_text("*.log\n")
    await followed.change()
    shutil.rmtree(folder.parent)
    await followed.change()
    folder.mkdir(parents=True)
    await followed.rest()
    (folder / "ignore").write_text("*.tmp\n")
    await followed.change()


async def test_what_cannot_be_watched_is_looked_at(follow, home, monkeypatch):
    def refuse():
        raise OSError(errno.EMFILE, "no watches left")

    monkeypatch.setattr(outside_rules, "Observer", refuse)
    followed = follow()
    (home / ".gitconfig").write_text("[core]\n\tignoreCase = true\n")
    await followed.change()


async def test_what_is_reported_from_elsewhere_is_looked_at_then(follow, top):
    followed = follow(is_reported=lambda file: True)
    await followed.rest()
    exclude = top / ".git" / "info" / "exclude"
    exclude.write_text("*.log\n")
    followed.rules.note(top / ".git" / "index")  # of no interest
    await followed.rest()
    assert not followed.changed.is_set()
    followed.rules.note(exclude)
    await followed.change()


@watched
async def test_what_is_only_read_in_a_watched_folder_wakes_nobody(follow, home, monkeypatch):
    read, written = home / ".gitconfig", home / "notes"
    read.write_text("[core]\n\tignoreCase = true\n")
    followed = follow()
    await followed.rest()
    seen = []
    monkeypatch.setattr(followed.rules, "note", seen.append)
    for _ in range(5):
        read.read_text()
        list(home.iterdir())
    written.write_text("x")
    while written not in seen:
        await asyncio.sleep(0.02)
    assert set(seen) == {written}
