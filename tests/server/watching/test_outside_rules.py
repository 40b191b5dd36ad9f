"""Edits of git's rules that no watcher reports reach the memory."""

import shutil
import subprocess

import pytest


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
