"""The extension is built once by all who test it at once."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.vscode import materials
from tests.vscode.materials import build_extension

NPM = """#!/bin/sh
echo "$2 begins" >> built
sleep 0.3
echo "$2 ends" >> built
"""
"""Stands in for npm."""


@pytest.mark.skipif(sys.platform == "win32", reason="a script of the shell stands in for npm")
@pytest.mark.parametrize(("run", "n_built"), [("one", 1), (None, 3)])
def test_who_builds_at_once_takes_turns_and_one_builds_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str | None, n_built: int
) -> None:
    (tmp_path / "node_modules").mkdir()
    npm = tmp_path / "npm"
    npm.write_text(NPM)
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(materials, "EXTENSION", tmp_path)
    monkeypatch.setattr(materials, "BUILT", tmp_path / "build" / "vscode-built", raising=False)
    if run is None:
        monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    else:
        monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", run)
    with ThreadPoolExecutor(3) as processes:
        found = {each.result() for each in [processes.submit(build_extension) for _ in range(3)]}
    assert found == {tmp_path / "dist" / "longllama-code.vsix"}
    assert (tmp_path / "built").read_text() == n_built * "package begins\npackage ends\n"
