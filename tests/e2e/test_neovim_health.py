"""`:checkhealth longllama` in a real Neovim, without a terminal."""

import json
import os
import subprocess
from pathlib import Path

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.test_neovim import CLIENT, neovim

TIMEOUT_S = 180

INIT = """
vim.opt.runtimepath:append({client})
local settings = {{ model = {{ path = {model} }}, engine = {{ idleMs = 0 }} }}
require("longllama").setup({{ settings = settings }})
function Is_ready() return (require("longllama").status or {{}}).phase == "ready" end
"""
WAIT = "lua vim.wait(60000, Is_ready)"


def health(folder: Path, init: str, environment: dict[str, str], *commands: str) -> str:
    """What the health check says, after other commands of Neovim."""
    (folder / "init.lua").write_text(init)
    report = folder / "report.txt"
    last = ("checkhealth longllama", f"silent write! {report}", "qall!")
    options = [part for command in (*commands, *last) for part in ("-c", command)]
    start = [neovim(), "--headless", "--clean", "-n", "-u", str(folder / "init.lua"), *options]
    done = subprocess.run(
        start, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert report.is_file(), done.stderr
    return report.read_text("utf-8")


def test_it_says_what_the_program_and_the_running_server_find(tmp_path: Path) -> None:
    server = RecordedServer(tmp_path, "def f(x):\n", [])
    # The client's server is recorded; the program that it names answers commands as well.
    program = tmp_path / "bin" / "longllama-lsp"
    record = program.read_text()
    asked = record.replace(" record ", " ").replace(f'"{tmp_path / "session.jsonl"}"', "")
    branch = 'case "$1" in --version | diagnose)'
    program.write_text(f"#!/bin/sh\n{branch} {asked.splitlines()[1]} ;; esac\n{record}")
    init = INIT.format(client=json.dumps(str(CLIENT)), model=json.dumps(server.model))
    report = health(tmp_path, init, server.environment, f"edit {server.file}", WAIT)
    assert "shows suggestions by require" in report
    assert f"{program}, longllama-lsp " in report
    for check in ("python: ", "torch: ", "cache: ", "folder: "):
        assert f"OK {check}" in report, report
    assert f"OK {server.root}: ready" in report


def test_without_the_program_it_says_what_helps(tmp_path: Path) -> None:
    init = INIT.format(client=json.dumps(str(CLIENT)), model='"auto"')
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": os.defpath}
    report = health(tmp_path, init, environment)
    assert "ERROR longllama-lsp is not on the PATH" in report
    assert "Install it, or name its full path" in report
    assert "WARNING the server runs for no buffer" in report
