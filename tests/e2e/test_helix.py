"""Our configuration for Helix in a real Helix, in a terminal."""

import json
import os
import shutil
import sys
from pathlib import Path

from lsp_server.replay import replay
from tests.e2e.debian import command, unpacked
from tests.e2e.terminal_screen import running

CONFIGURATION = Path(__file__).parents[2] / "editor-client" / "helix" / "languages.toml"
ENTER, ESCAPE, TAB = "\r", "\x1b", "\t"


def helix() -> tuple[list[str], dict[str, str]]:
    """What runs Helix, and its environment; skips where it cannot be had."""
    for name in ("hx", "helix"):
        if (found := shutil.which(name)) is not None:
            return [found], {}
    root = unpacked("hx")
    return command(root, "usr/bin/hx"), {"HELIX_RUNTIME": str(root / "usr/lib/hx/runtime")}


def test_a_suggestion_is_in_the_popup_accepted_and_saved(tmp_path: Path) -> None:
    program, environment = helix()
    root = tmp_path / "ws"
    (root / ".git").mkdir(parents=True)
    file = root / "a.py"
    file.write_text("def f(x):\n")
    text = "urn x * 2  # é"
    answers = tmp_path / "script.json"
    answers.write_text(json.dumps({"answers": [{"path": "a.py", "before": "ret", "text": text}]}))
    session = tmp_path / "session.jsonl"
    environment |= configured(tmp_path, session, f"script:{answers}")
    with running([*program, str(file)], root, environment) as screen:
        screen.expect("def f(x):")
        screen.wait(lambda: is_ready(session), "the server is not ready")
        assert "setting longllama" not in screen.text
        screen.type("o    ret")
        screen.expect("return x * 2  # é")
        assert "return x * 2" not in line_of(screen.text, 2), "only the popup has it"
        screen.type(TAB)
        screen.wait(lambda: "return x * 2" in line_of(screen.text, 2), "nothing was taken")
        screen.type(ENTER + ESCAPE)
        screen.expect("NOR")
        screen.type(f":wq{ENTER}")
        screen.wait(lambda: "return" in file.read_text(), "the file was not saved")
    assert file.read_text() == f"def f(x):\n    ret{text}\n"

    # What the editor said, said to another server, gets the same answers.
    file.write_text("def f(x):\n")
    assert replay(session, root, []) == []


def configured(folder: Path, session: Path, model: str) -> dict[str, str]:
    """A home with our file as users get it, but for the model; the server writes a session."""
    settings = folder / "config" / "helix" / "languages.toml"
    settings.parent.mkdir(parents=True)
    ours = 'model = { path = "mini" }'
    given = CONFIGURATION.read_text()
    assert ours in given
    test = f"model = {{ path = {json.dumps(model)} }}\nengine = {{ idleMs = 0 }}"
    settings.write_text(given.replace(ours, test))
    server = folder / "bin" / "longllama-lsp"
    server.parent.mkdir()
    server.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lsp_server record "{session}" "$@"\n')
    server.chmod(0o755)
    return {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(settings.parents[1]),
        "PATH": f"{server.parent}{os.pathsep}{os.environ['PATH']}",
    }


def is_ready(session: Path) -> bool:
    """Whether the server has said that all is in memory."""
    return session.is_file() and '"phase":"ready"' in session.read_text().replace(" ", "")


def line_of(screen: str, number: int) -> str:
    """A line of the file, as it is on screen, without what the popup covers."""
    (line,) = (one for one in screen.splitlines() if one.split()[:1] == [str(number)])
    return line
