"""Emacs 30 installs our client from a repository, by the lines of our page."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.e2e.newer_emacs import newer_emacs
from tests.git_commands import commit_all, git
from tests.paths import ROOT

PAGE = ROOT / "docs" / "quick-start" / "emacs.md"
CLIENT = ROOT / "editor-client" / "emacs"
TIMEOUT_S = 300

BEFORE = """
(setq package-user-dir {packages} package-archives nil package-native-compile nil)
(require 'package)
(package-initialize)
(require 'use-package)
"""
AFTER = """
(require 'longllama)
(message "from %s" (locate-library "longllama"))
(message "mode: %s, hooks: %s %s" (commandp 'longllama-mode)
         (memq 'eglot-ensure python-mode-hook)
         (memq 'longllama-mode eglot-managed-mode-hook))
(when-let* ((log (get-buffer "*Compile-Log*")))
  (with-current-buffer log (message "%s" (buffer-string))))
"""


def repository(folder: Path) -> Path:
    """One with the client at its place in ours."""
    shutil.copytree(CLIENT, folder / "editor-client" / "emacs")
    git(folder, "init")
    commit_all(folder)
    return folder


def test_use_package_fetches_compiles_and_loads_it(tmp_path: Path) -> None:
    found = re.search(r"```elisp\n(\(use-package.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    assert "REPOSITORY" in found[1]
    source = repository(tmp_path / "source")
    packages = tmp_path / "packages"
    home = tmp_path / "home"  # where Emacs lists projects, if its folder is there
    (home / ".emacs.d").mkdir(parents=True)
    init = tmp_path / "init.el"
    init.write_text(
        BEFORE.format(packages=json.dumps(str(packages)))
        + found[1].replace("REPOSITORY", source.as_uri())
        + AFTER
    )
    done = subprocess.run(
        [*newer_emacs(), "-Q", "--batch", "--load", str(init)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert re.search(rf"from {packages}/longllama/editor-client/emacs/longllama\.elc", done.stderr)
    assert re.search(r"mode: \S+, hooks: \(eglot-ensure.*\) \(longllama-mode", done.stderr)
    # Those of files that package.el writes are not ours.
    assert re.findall(r"longllama\.el:\d+:\d+: Warning.*", done.stderr) == []
