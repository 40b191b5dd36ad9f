"""A repository of traps: the server indexes what is left, and answers meanwhile."""

import os
import sys

import pytest

STARS = "*a" * 12 + "*z"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
async def test_a_repository_of_traps(wire, root):
    (root / ".gitignore").symlink_to("/dev/zero")
    os.mkfifo(root / ".longllamaignore")
    (root / "sub").mkdir()
    (root / "sub" / ".gitignore").write_text(f"{STARS}\n")
    (root / "sub" / ("a" * 60 + ".py")).write_text("x = 1\n")
    (root / "long.py").write_text("".join(f"{'eyJ' * 1500}\n" for _ in range(100)))
    (root / "pyproject.toml").write_text(f'[tool.longllama]\ndisabledGlobs = ["{STARS}"]\n')
    await wire.begin(root)
    uri = (root / "sub" / ("a" * 60 + ".py")).as_uri()
    wire.open(uri, "x = 1\n")
    asked = wire.ask("longllama/status")
    assert await asked
    await wire.indexed()
    assert {"lib.py", "sub/" + "a" * 60 + ".py"} <= set(wire.engine.texts)
