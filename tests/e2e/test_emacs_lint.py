"""What Emacs' own checkers, and that of package archives, say of our client: nothing."""

import os
import subprocess
from pathlib import Path

from tests.e2e.debian import unpacked
from tests.e2e.emacs import emacs
from tests.paths import ROOT

CLIENT = ROOT / "editor-client" / "emacs" / "longllama.el"
TIMEOUT_S = 180

CHECKDOC = """
(progn
  (require 'checkdoc)
  (let ((checkdoc-create-error-function
         (lambda (text start _end &optional _unfixable)
           (message "checkdoc %s: %s" (and start (line-number-at-pos start)) text)
           nil)))
    (find-file (getenv "CLIENT"))
    (checkdoc-current-buffer t)))
"""
PACKAGE_LINT = """
(progn
  (require 'package)
  (package-initialize)
  (dolist (folder (file-expand-wildcards (getenv "PACKAGES"))) (add-to-list 'load-path folder))
  (require 'package-lint)
  (find-file (getenv "CLIENT"))
  (dolist (found (package-lint-buffer))
    (pcase-let ((`(,line ,column ,kind ,text) found))
      (message "package-lint %s:%s %s: %s" line column kind text))))
"""


def found(program: str, tool: str, **variables: str) -> list[str]:
    """Lines in which a checker tells of something."""
    done = subprocess.run(
        [emacs(), "-Q", "--batch", "--eval", program],
        env={**os.environ, "CLIENT": str(CLIENT), **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith(tool)]


def test_checkdoc_has_nothing_to_say() -> None:
    assert found(CHECKDOC, "checkdoc") == []


def test_checkdoc_would_say_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.el"
    bad.write_text('(defun bad (one)\n  "how bad it is"\n  one)\n')
    assert len(found(CHECKDOC, "checkdoc", CLIENT=str(bad))) >= 2


def test_package_lint_misses_the_address_of_the_project_alone() -> None:
    """That is written by whoever publishes it."""
    folder = unpacked("elpa-package-lint") / "usr/share/emacs/site-lisp/elpa-src/*"
    said = found(PACKAGE_LINT, "package-lint", PACKAGES=str(folder))
    assert said == ["package-lint 1:0 error: Package should have a Homepage or URL header."]
