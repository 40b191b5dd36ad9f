"""Candidates in turn, and texts of all widths and directions, in Emacs 30 with its own eglot."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.emacs import FIRST_LINE, SAVE, at_end
from tests.e2e.newer_emacs import newer_emacs
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import CONTROL_E, ESCAPE, TAB, TerminalScreen
from tests.e2e.test_emacs import CLIENT, INIT, WORD

ALT_N, ALT_P = f"{ESCAPE}n", f"{ESCAPE}p"
BEFORE = "s = '\u65e5\u672c\U0001f40de\u0301"
"""Wide characters, one of two UTF-16 units, and one of two code points."""
GHOST = "\u0639\u0631\u0628\u064a' +\tt\n# \u5f8c\tz\ndone"
"""From right to left; and tabs, the last behind a wide character."""
OWN = "(setq jsonrpc-default-request-timeout 60 eglot-connect-timeout 60)\n"


@contextmanager
def editing(
    folder: Path, answers: Sequence[dict[str, Any]]
) -> Iterator[tuple[RecordedServer, TerminalScreen]]:
    """Emacs at the end of a file, once the server is ready."""
    start = newer_emacs()
    server = RecordedServer(folder, FIRST_LINE, answers)
    init = INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model))
    with at_end(server, [*start, "-q"], f"(require 'jsonrpc)\n{OWN}{init}") as screen:
        screen.expect(" LL")
        yield server, screen


def save(server: RecordedServer, screen: TerminalScreen, text: str) -> None:
    """Save the file, which must then be this text, but for its last line end."""
    screen.type(SAVE)
    screen.wait(lambda: server.saved == f"{FIRST_LINE}{text}\n", "the file is another")


def test_parts_and_all_of_such_texts_are_accepted(tmp_path: Path) -> None:
    with editing(tmp_path, [{"before": "e\u0301", "text": GHOST}]) as (server, screen):
        screen.type(BEFORE)
        screen.expect("done")
        screen.type(WORD)
        screen.expect("(2,16)")
        screen.expect("done")
        screen.type(CONTROL_E)
        screen.expect("(2,25)")
        screen.expect("done")
        screen.type(TAB)
        screen.expect("(4,4)")
        save(server, screen, BEFORE + GHOST)
    assert server.replay() == []


def test_candidates_are_shown_in_turn(tmp_path: Path) -> None:
    answer = {"before": "x = ", "text": "one()", "alternatives": ["two()"]}
    with editing(tmp_path, [answer]) as (server, screen):
        screen.type("x = ")
        screen.expect("x = one()")
        screen.type(ALT_N)
        screen.expect("x = two()")
        screen.type(ALT_P)
        screen.expect("x = one()")
        screen.type(ALT_N)
        screen.expect("x = two()")
        screen.type(TAB)
        save(server, screen, "x = two()")
    assert server.replay() == []
