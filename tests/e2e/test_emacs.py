"""The Emacs client in a real Emacs with eglot, in a terminal, by keys alone."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.e2e.emacs import FIRST_LINE, SAVE, at_end, check_saved, save, suggesting
from tests.e2e.newer_emacs import newer_emacs
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import CONTROL_A, CONTROL_E, ENTER, ESCAPE, TAB
from tests.paths import ROOT

CLIENT = ROOT / "editor-client" / "emacs"
WORD, COMMAND = f"{ESCAPE}f", f"{ESCAPE}x"

# Our README's lines, with the package system that has eglot before them. Flymake's margin, which
# Emacs 30 has in a terminal, would move all text on screen by two columns.
INIT = """
(require 'package)
(package-initialize)
(column-number-mode)
(setq make-backup-files nil eglot-connect-timeout 120 flymake-autoresize-margins nil)
(add-to-list 'load-path {client})
(require 'longllama)
(add-hook 'python-mode-hook #'eglot-ensure)
(add-hook 'eglot-managed-mode-hook #'longllama-mode)
(setq-default eglot-workspace-configuration
              '(:longllama (:model (:path {model}) :engine (:idleMs 0))))
"""


def emacs_with_eglot() -> list[str]:
    """What runs the Emacs of this machine, or Emacs 30, which has eglot; skips without either."""
    found = shutil.which("emacs")
    looks_for_eglot = ["--batch", "--funcall", "package-initialize", "--eval", "(require 'eglot)"]
    if found and not subprocess.run([found, *looks_for_eglot], capture_output=True).returncode:
        return [found]
    return newer_emacs()


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    program = emacs_with_eglot()
    text = "return x * 2\n    # and\n    # é more"
    server = suggesting(tmp_path, text)
    init = INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model))
    with at_end(server, [*program, "-q"], init) as screen:
        screen.expect(" LL")
        screen.type(f"{COMMAND}longllama-suggest{ENTER}")
        screen.expect("longllama: nothing_to_add")

        screen.type("    ")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.expect("(2,4)")
        screen.picture("emacs-eglot")
        screen.type(WORD)
        screen.expect("(2,10)")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(CONTROL_E)
        screen.expect("(2,16)")
        screen.expect("    return x * 2\n    # and\n    # é more\n")
        screen.type(TAB)
        screen.expect("(4,12)")
        server.expect_outcome(screen, "accepted")
        # Nothing is left to accept: the key is Emacs's own again.
        screen.type(CONTROL_A)
        screen.expect("(4,0)")
        screen.type(CONTROL_E)
        screen.expect("(4,12)")
        save(server, screen)
    check_saved(server, text)


def test_a_command_snoozes_and_a_word_is_counted_in_part(tmp_path: Path) -> None:
    program = emacs_with_eglot()
    server = suggesting(tmp_path, "return x * 2")
    init = INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model))
    with at_end(server, [*program, "-q"], init) as screen:
        screen.expect(" LL")
        screen.type("    ")
        screen.expect("    return x * 2\n")
        screen.type(WORD)
        screen.expect("(2,10)")
        screen.type("!")
        screen.type(f"{COMMAND}longllama-snooze{ENTER}15{ENTER}")
        screen.expect(" LL snoozed 15 min")
        screen.type(f"{COMMAND}longllama-snooze{ENTER}0{ENTER}")
        screen.wait(lambda: "snoozed" not in screen.text, "it is still snoozed")
        server.expect_outcome(screen, "partly_accepted")


def test_what_the_editor_closed_is_replaced(tmp_path: Path) -> None:
    """Emacs pairs brackets by itself, with its own mode for that."""
    program = emacs_with_eglot()
    answers = [{"before": r"isinstance\(e, Usage\Z", "text": "Error) or x:"}]
    server = RecordedServer(tmp_path, FIRST_LINE, answers)
    init = INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model))
    with at_end(server, [*program, "-q"], f"{init}(electric-pair-mode)\n") as screen:
        screen.expect(" LL")
        screen.type("    if isinstance(e, Usage")
        screen.expect("if isinstance(e, UsageError) or x:")
        screen.wait(lambda: "x:)" not in screen.text, "the bracket is shown twice")
        screen.type(WORD)
        screen.expect("(2,31)")
        screen.expect("if isinstance(e, UsageError) or x:")
        screen.type(TAB)
        screen.expect("(2,38)")
        screen.type(SAVE)
        screen.wait(lambda: "Error" in server.saved, "the file was not saved")
    assert server.saved == f"{FIRST_LINE}    if isinstance(e, UsageError) or x:\n"
