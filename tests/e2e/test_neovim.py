"""The Neovim client in a real Neovim, without a screen."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "editor-client" / "neovim"

SCRIPT = """
vim.opt.runtimepath:append({client!r})
local longllama = require("longllama")
longllama.config.cmd = {command}
longllama.config.settings = {{
  model = {{ path = "tiny" }}, engine = {{ idleMs = 0 }}, memory = {{ cacheDir = {cache!r} }},
}}
vim.cmd.edit({file!r})
longllama.start(0)
local attached = vim.wait(20000, function()
  return #vim.lsp.get_clients({{ bufnr = 0, name = "longllama" }}) == 1
end)
local client = vim.lsp.get_clients({{ bufnr = 0, name = "longllama" }})[1]
local answer
vim.wait(40000, function()
  answer = client:request_sync("longllama/status", {{}}, 10000, 0)
  return answer.result.phase == "ready"
end)
vim.api.nvim_win_set_cursor(0, {{ 2, 3 }}) -- normal mode: on the last of four blanks
longllama.suggest()
local shown = vim.wait(20000, function() return longllama.shown ~= nil end)
local ghost = longllama.shown and longllama.shown.text
local marks = vim.api.nvim_buf_get_extmarks(0, -1, 0, -1, {{}})
local accepted = longllama.accept()
local again = longllama.accept()
vim.cmd.write()
io.stdout:write(vim.json.encode({{
  attached = attached, phase = answer and answer.result.phase, shown = shown, ghost = ghost,
  marks = #marks, accepted = accepted, again = again,
}}))
vim.cmd.qall({{ bang = true }})
"""


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("def f(x):\n    \n")
    (tmp_path / ".git").mkdir()
    script = tmp_path / "script.lua"
    command = f'{{ "{sys.executable}", "-m", "lsp_server" }}'
    script.write_text(
        SCRIPT.format(
            client=str(CLIENT), command=command, cache=str(tmp_path / "cache"), file=str(file)
        )
    )
    nvim = shutil.which("nvim", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
    assert nvim is not None
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    run = subprocess.run(
        [nvim, "--headless", "--clean", "-n", "-l", str(script)],
        capture_output=True,
        timeout=100,
        env=environment,
        check=False,
    )
    result = json.loads(run.stdout.decode() or "{}")
    assert result, run.stderr.decode()
    assert result["attached"]
    assert result["shown"]
    assert result["phase"] == "ready"
    assert result["marks"] == 1
    assert (result["accepted"], result["again"]) == (True, False)
    assert file.read_text() == f"def f(x):\n   {result['ghost']} \n"
