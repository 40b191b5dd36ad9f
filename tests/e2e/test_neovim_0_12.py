"""Neovim 0.12's own inline completion, set up as our page says, in a terminal."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.deadline import DEADLINE_S
from tests.e2e.debian import command, unpacked
from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import (
    ALT_DOWN,
    ALT_RIGHT,
    ENTER,
    ESCAPE,
    TAB,
    TerminalScreen,
    running,
)
from tests.git_commands import commit_all, git
from tests.paths import ROOT

PAGE = ROOT / "docs" / "quick-start" / "neovim.md"
CLIENT = ROOT / "editor-client" / "neovim"
SETTINGS = 'settings = { longllama = { model = { path = "auto" } } }'


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    text = "return x * 2\n    # é more"
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "    ", "text": text}])
    init = tmp_path / "init.lua"
    init.write_text(f"vim.o.termguicolors = true\n{configuration(server.model)}")
    options = ["--clean", "-n", "-u", str(init), str(server.file)]
    with neovim(options, tmp_path, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("o")  # Neovim indents
        screen.expect("# é more")
        screen.expect("return x * 2")
        screen.picture("neovim-0.12")
        assert "return" not in server.saved
        screen.type(TAB)
        screen.expect("3,14")  # behind the text, in bytes
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "return" in server.saved, "the file was not saved")
    assert server.saved == f"def f(x):\n    {text}\n"
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
        deadline = time.monotonic() + DEADLINE_S
        while not (folder / socket).exists():
            assert time.monotonic() < deadline
            assert editor.poll() is None
            time.sleep(0.05)
        with running([*program, "--server", socket, "--remote-ui"], folder, environment) as screen:
            yield screen
    finally:
        editor.kill()
        editor.wait(DEADLINE_S)


def test_a_word_and_a_line_are_accepted_beside_a_bracket_that_was_closed(tmp_path: Path) -> None:
    """The entry for nvim-lspconfig is found in its folder; the keys are our page's."""
    text = "UsageError) or x:\n        # é more\n        pass"
    answers = [{"before": r"isinstance\(e, \Z", "text": text}]
    server = RecordedServer(tmp_path, "def f(x):\n", answers)
    init = tmp_path / "init.lua"
    lines = [
        f"vim.opt.runtimepath:append({json.dumps(str(CLIENT))})",
        f'vim.lsp.config("longllama", {{ {settings(server.model)} }})',
        'vim.lsp.enable("longllama")',
        "vim.lsp.inline_completion.enable()",
        'vim.keymap.set("i", "(", "()<Left>")',
        block("## Accept a word or a line"),
    ]
    init.write_text("\n".join(lines))
    options = ["--clean", "-n", "-u", str(init), str(server.file)]
    with neovim(options, tmp_path, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("oif isinstance(e, ")
        screen.expect("isinstance(e, UsageError) or x:")
        screen.type(ALT_RIGHT)
        screen.expect("2,32")
        screen.expect("isinstance(e, UsageError) or x:")
        screen.type(ALT_RIGHT)  # the bracket is in this part, and is replaced
        screen.expect("2,36")
        screen.expect("isinstance(e, UsageError) or x:")
        screen.type(ALT_DOWN)
        screen.expect("3,1")
        screen.expect("# é more")
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "Usage" in server.saved, "the file was not saved")
    assert server.saved == "def f(x):\n    if isinstance(e, UsageError) or x:\n\n"


def test_vim_pack_installs_it_as_our_page_says(tmp_path: Path) -> None:
    """The repository is one of this test, with the client at its place in ours."""
    server = RecordedServer(tmp_path, "def f(x):\n", [{"before": "    ", "text": "return x"}])
    repository = tmp_path / "repository"
    shutil.copytree(CLIENT, repository / "editor-client" / "neovim")
    git(repository, "init")
    commit_all(repository)
    (tmp_path / "config" / "nvim").mkdir(parents=True)
    init = tmp_path / "config" / "nvim" / "init.lua"
    given = block("### vim.pack")
    assert "REPOSITORY" in given
    init.write_text(
        "\n".join(
            [
                f'vim.lsp.config("longllama", {{ {settings(server.model)} }})',
                given.replace("REPOSITORY", repository.as_uri()),
            ]
        )
    )
    environment = {**server.environment, "XDG_DATA_HOME": str(tmp_path / "data")}
    with neovim(["-n", str(server.file)], tmp_path, environment) as screen:
        screen.expect("Press ENTER")  # it tells what was installed
        screen.type(ENTER)
        screen.wait(server.is_ready, "the server is not ready")
        screen.type("o")
        screen.expect("return x")
        screen.type(f"{ESCAPE}:qa!{ENTER}")


def configuration(model: str) -> str:
    """The lines that our page gives, but for the model."""
    found = block("## Neovim 0.12")
    assert SETTINGS in found
    return found.replace(SETTINGS, settings(model))


def settings(model: str) -> str:
    """Settings of the test's own model, and an engine that ends with its window."""
    return SETTINGS.replace('path = "auto" }', f'path = "{model}" }}, engine = {{ idleMs = 0 }}')


def block(heading: str) -> str:
    """The first lines of Lua below a heading of our page."""
    section = PAGE.read_text().split(f"{heading}\n")[1]
    found = re.search(r"```lua\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]
