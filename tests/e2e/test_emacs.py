"""The Emacs client in a real Emacs with eglot, in a terminal, by keys alone."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import CONTROL_A, CONTROL_E, ENTER, ESCAPE, TAB, running

CLIENT = Path(__file__).parents[2] / "editor-client" / "emacs"
END_OF_FILE, WORD, COMMAND = f"{ESCAPE}>", f"{ESCAPE}f", f"{ESCAPE}x"
SAVE = "\x18\x13"

# Our README's lines, with the package system that has eglot before them.
INIT = """
(require 'package)
(package-initialize)
(column-number-mode)
(setq make-backup-files nil)
(add-to-list 'load-path {client})
(require 'longllama)
(add-hook 'python-mode-hook #'eglot-ensure)
(add-hook 'eglot-managed-mode-hook #'longllama-mode)
(setq-default eglot-workspace-configuration
              '(:longllama (:model (:path {model}) :engine (:idleMs 0))))
"""


def emacs() -> str:
    """Emacs; skips where it is missing."""
    found = shutil.which("emacs")
    if found is None:
        pytest.skip("no Emacs; on Debian: apt-get install emacs-nox")
    return found


def emacs_with_eglot() -> str:
    """The same; skips where eglot is missing too."""
    program = emacs()
    looks_for_eglot = ["--batch", "--funcall", "package-initialize", "--eval", "(require 'eglot)"]
    if subprocess.run([program, *looks_for_eglot], capture_output=True).returncode:
        pytest.skip("no eglot; on Debian: apt-get install elpa-eglot")
    return program


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    program = emacs_with_eglot()
    text = "return x * 2\n    # and\n    # é more"
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "\n    ", "text": text}])
    init = tmp_path / "init.el"
    init.write_text(INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model)))
    start = [program, "-nw", "-q", "--load", str(init), str(server.file)]
    with running(start, server.root, server.environment) as screen:
        screen.expect("def f(x):")
        screen.type(END_OF_FILE)
        screen.wait(server.is_ready, "the server is not ready")
        screen.expect(" LL")
        screen.type(f"{COMMAND}longllama-suggest{ENTER}")
        screen.expect("longllama: nothing_to_add")

        screen.type("    ")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.expect("(2,4)")
        screen.type(WORD)
        screen.expect("(2,10)")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(CONTROL_E)
        screen.expect("(2,16)")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(TAB)
        screen.expect("(4,12)")
        # Nothing is left to accept: the key is Emacs's own again.
        screen.type(CONTROL_A)
        screen.expect("(4,0)")
        screen.type(CONTROL_E)
        screen.expect("(4,12)")
        screen.type(SAVE)
        screen.wait(lambda: "return" in server.file.read_text(), "the file was not saved")
    assert server.file.read_text() == f"def f(x):\n    {text}\n"
    assert server.replay() == []
