"""copilot.el in a real Emacs 30, in a terminal, by keys alone: only its server is ours."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.checkouts import checkout
from tests.e2e.emacs import FIRST_LINE, SAVE, at_end
from tests.e2e.newer_emacs import newer_emacs
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB, TerminalScreen

INIT = """
(column-number-mode)
(require 'jsonrpc)
(setq jsonrpc-default-request-timeout 60) ; copilot.el waits 10 s for a server to start
(setq make-backup-files nil copilot-server-executable "longllama-lsp" copilot-idle-delay 0.1)
(add-to-list 'load-path {plugin})
(require 'copilot)
(setopt copilot-lsp-settings '(:longllama (:model (:path {model}) :engine (:idleMs 0))))
(keymap-set copilot-completion-map "M-w" #'copilot-accept-completion-by-word)
(keymap-set copilot-completion-map "M-l" #'copilot-accept-completion-by-line)
(add-hook 'python-mode-hook #'copilot-mode)
"""
ALT_W, ALT_L, ALT_N, COMMAND = (f"{ESCAPE}{key}" for key in ("w", "l", "n", "x"))


@contextmanager
def editing(
    folder: Path, answers: Sequence[dict[str, Any]]
) -> Iterator[tuple[RecordedServer, TerminalScreen]]:
    """Emacs with copilot.el at the end of a file, once the server is ready."""
    start = newer_emacs()
    plugin = checkout("copilot.el", "copilot.el")
    server = RecordedServer(folder, FIRST_LINE, answers)
    init = INIT.format(plugin=json.dumps(str(plugin)), model=json.dumps(server.model))
    with at_end(server, [*start, "-Q"], init) as screen:
        yield server, screen


def save(server: RecordedServer, screen: TerminalScreen, text: str) -> None:
    """Save the file, which must then be this text, but for its last line end."""
    screen.type(SAVE)
    screen.wait(lambda: server.saved == f"{text}\n", "the file is another")


def test_parts_are_accepted_and_told(tmp_path: Path) -> None:
    """Behind characters of two UTF-16 units."""
    text = "' + more(x)\n    return s"
    with editing(tmp_path, [{"before": "é", "text": text}]) as (server, screen):
        screen.type("    s = '\U0001f40dé")
        screen.expect("' + more(x)\n    return s\n")
        screen.type(ALT_W)
        screen.expect("' + more(x)\n    return s\n")
        screen.type(TAB)
        screen.expect("(3,12)")
        save(server, screen, f"{FIRST_LINE}    s = '\U0001f40dé{text}")
    told = server.told("textDocument/didPartiallyAcceptCompletion")
    assert [one["acceptedLength"] for one in told] == [len("    s = '\U0001f40dé' + more")]
    assert server.replay() == []


def test_alternatives_are_shown_in_turn(tmp_path: Path) -> None:
    answer = {"before": "\n    ", "text": "return one", "alternatives": ["return two"]}
    with editing(tmp_path, [answer]) as (server, screen):
        screen.type(f"    {COMMAND}copilot-complete{ENTER}")
        screen.expect("    return one\n")
        screen.type(ALT_N)
        screen.expect("    return two\n")
        screen.type(TAB)
        save(server, screen, f"{FIRST_LINE}    return two")
    assert server.replay() == []
