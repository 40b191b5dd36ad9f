"""Emacs' lsp-mode 10, set up as our page says, in a terminal."""

import json
import re
from pathlib import Path

from tests.e2e.debian import unpacked
from tests.e2e.emacs import at_end, check_saved, emacs, save, suggesting
from tests.e2e.terminal_screen import TAB
from tests.paths import ROOT

PAGE = ROOT / "docs" / "quick-start" / "emacs.md"

# What Emacs' package system does for a user; and lsp-mode asks which folder is a project's, unless
# it is told to guess.
BEFORE = """
(dolist (folder (file-expand-wildcards {packages})) (add-to-list 'load-path folder))
(load "lsp-mode-autoloads")
(column-number-mode)
(setq make-backup-files nil lsp-auto-guess-root t lsp-enable-suggest-server-download nil)
"""
AFTER = """
(lsp-register-custom-settings '(("longllama.engine.idleMs" 0)))
"""


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    program = emacs()
    packages = unpacked("elpa-lsp-mode") / "usr/share/emacs/site-lisp/elpa-src/*"
    text = "return x * 2\n    # é more"
    server = suggesting(tmp_path, text)
    before = BEFORE.format(packages=json.dumps(str(packages)))
    init = before + configuration(server.model) + AFTER
    with at_end(server, [program, "-Q"], init) as screen:
        screen.type("    ")
        screen.expect("    return x * 2\n    # é more\n")
        screen.picture("emacs-lsp-mode")
        screen.type(TAB)
        screen.expect("(3,12)")
        save(server, screen)
    check_saved(server, text)


def configuration(model: str) -> str:
    """The lines that our page gives, but for the model."""
    section = PAGE.read_text().split("## With lsp-mode 10")[1]
    found = re.search(r"```elisp\n(.*?)```", section, re.DOTALL)
    assert found is not None
    assert '"auto"' in found[1]
    return found[1].replace('"auto"', json.dumps(model))
