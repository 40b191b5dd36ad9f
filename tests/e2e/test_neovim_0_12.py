"""Neovim 0.12's own inline completion, set up as our README says, in a terminal."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.debian import command, unpacked
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB, TerminalScreen, running
from tests.paths import ROOT

README = ROOT / "editor-client" / "README.md"


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    text = "return x * 2\n    # é more"
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "    ", "text": text}])
    init = tmp_path / "init.lua"
    init.write_text(configuration(server.model))
    options = ["--clean", "-n", "-u", str(init), str(server.file)]
    with neovim(options, tmp_path, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("o")  # Neovim indents
        screen.expect("# é more")
        screen.expect("return x * 2")
        assert "return" not in server.file.read_text()
        screen.type(TAB)
        screen.expect("3,14")  # behind the text, in bytes
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "return" in server.file.read_text(), "the file was not saved")
    assert server.file.read_text() == f"def f(x):\n    {text}\n"
    assert server.replay() == []


@contextmanager
def neovim(
    options: list[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[TerminalScreen]:
    """Neovim in a terminal; skips where it cannot be had.

    Its terminal part would start the other, and by /proc/self/exe, which is the loader: so both are
    started here.
    """
    root = unpacked("neovim")
    program = command(root, "usr/bin/nvim")
    environment = {**environment, "VIMRUNTIME": str(root / "usr/share/nvim/runtime")}
    # By a short name: the path of a socket ends at 107 bytes.
    socket = "./nvim.sock"
    serve = [*program, "--headless", "--listen", socket, *options]
    editor = subprocess.Popen(serve, cwd=folder, env=environment)
    try:
        deadline = time.monotonic() + 20
        while not (folder / socket).exists():
            assert time.monotonic() < deadline
            assert editor.poll() is None
            time.sleep(0.05)
        with running([*program, "--server", socket, "--remote-ui"], folder, environment) as screen:
            yield screen
    finally:
        editor.kill()
        editor.wait(20)


def configuration(model: str) -> str:
    """The lines that the README gives, but for the model."""
    section = README.read_text().split("## Neovim 0.12")[1]
    found = re.search(r"```lua\n(.*?)```", section, re.DOTALL)
    assert found is not None
    ours = 'model = { path = "auto" }'
    assert ours in found[1]
    return found[1].replace(ours, f'model = {{ path = "{model}" }}, engine = {{ idleMs = 0 }}')
