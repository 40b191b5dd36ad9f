"""Our configuration for Helix in a real Helix, in a terminal."""

import json
import shutil
from pathlib import Path

from tests.e2e.debian import command, unpacked
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB, running
from tests.paths import ROOT

CONFIGURATION = ROOT / "editor-client" / "helix" / "languages.toml"
OUR_MODEL = 'model = { path = "auto" }'


def helix() -> tuple[list[str], dict[str, str]]:
    """What runs Helix, and its environment; skips where it cannot be had."""
    for name in ("hx", "helix"):
        if (found := shutil.which(name)) is not None:
            return [found], {}
    root = unpacked("hx")
    return command(root, "usr/bin/hx"), {"HELIX_RUNTIME": str(root / "usr/lib/hx/runtime")}


def test_a_suggestion_is_in_the_popup_accepted_and_saved(tmp_path: Path) -> None:
    program, environment = helix()
    text = "urn x * 2  # é"
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "ret", "text": text}])
    configure(tmp_path, server.model)
    environment = server.environment | environment
    with running([*program, str(server.file)], server.root, environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        assert "setting longllama" not in screen.text
        screen.type("o    ret")
        screen.expect("return x * 2  # é")
        screen.picture("helix")
        assert "return x * 2" not in line_of(screen.text, 2), "only the popup has it"
        screen.type(TAB)
        screen.wait(lambda: "return x * 2" in line_of(screen.text, 2), "nothing was taken")
        screen.type(ENTER + ESCAPE)
        screen.expect("NOR")
        screen.type(f":wq{ENTER}")
        screen.wait(lambda: "return" in server.saved, "the file was not saved")
    assert server.saved == f"def f(x):\n    ret{text}\n"
    assert server.replay() == []


def configure(home: Path, model: str) -> None:
    """Write our file as users get it, but for the model."""
    given = CONFIGURATION.read_text()
    assert OUR_MODEL in given
    tried = f"model = {{ path = {json.dumps(model)} }}\nengine = {{ idleMs = 0 }}"
    settings = home / "config" / "helix" / "languages.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(given.replace(OUR_MODEL, tried))


def line_of(screen: str, number: int) -> str:
    """A line of the file, as it is on screen."""
    (line,) = (one for one in screen.splitlines() if one.split()[:1] == [str(number)])
    return line
