"""The Neovim client in a real Neovim, without a screen."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lsp_server.replay import replay

CLIENT = Path(__file__).parents[2] / "editor-client" / "neovim"

SCRIPT = """
vim.opt.runtimepath:append({client!r})
local longllama = require("longllama")
longllama.config.cmd = {command}
longllama.config.settings.engine = {{ idleMs = 0 }}
longllama.setup()
vim.cmd.edit({file!r})
longllama.start(0)
local attached = vim.wait(20000, function()
  return #vim.lsp.get_clients({{ bufnr = 0, name = "longllama" }}) == 1
end)
local client = vim.lsp.get_clients({{ bufnr = 0, name = "longllama" }})[1]
local answer = client:request_sync("longllama/waitUntilIndexed", vim.empty_dict(), 60000, 0)
vim.o.virtualedit = "onemore"
vim.api.nvim_win_set_cursor(0, {{ 2, 4 }})
longllama.suggest()
local shown = vim.wait(20000, function() return longllama.shown ~= nil end)
local ghost = longllama.shown and longllama.shown.text
local marks = vim.api.nvim_buf_get_extmarks(0, -1, 0, -1, {{}})
local statusline = longllama.statusline()
local rests = {{}}
for _, step in ipairs({{ "accept_word", "accept_word", "accept_line" }}) do
  assert(longllama[step]())
  table.insert(rests, longllama.shown.text)
end
local accepted = longllama.accept()
local again = longllama.accept()
local mapped = vim.fn.maparg("<M-Right>", "i", false, true).desc
vim.cmd.write()
io.stdout:write(vim.json.encode({{
  attached = attached, phase = answer and answer.result.phase, shown = shown, ghost = ghost,
  marks = #marks, accepted = accepted, again = again, rests = rests, mapped = mapped,
  statusline = statusline, cursor = vim.api.nvim_win_get_cursor(0), after = longllama.statusline(),
}}))
vim.cmd.qall({{ bang = true }})
"""


def test_ghost_text_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    (root / ".git").mkdir(parents=True)
    file = root / "a.py"
    file.write_text("def f(x):\n    \n")
    script = tmp_path / "script.lua"
    text = "return x * 2\n    # and\n    # é more"
    answers = tmp_path / "script.json"
    answers.write_text(json.dumps({"answers": [{"path": "a.py", "before": "    ", "text": text}]}))
    session = tmp_path / "session.jsonl"
    arguments = ["-m", "lsp_server", "record", str(session), "--model", f"script:{answers}"]
    command = f"{{ {', '.join(map(json.dumps, [sys.executable, *arguments]))} }}"
    script.write_text(SCRIPT.format(client=str(CLIENT), command=command, file=str(file)))
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
    assert result["ghost"] == text
    assert result["statusline"] == "longllama 0k"
    rests = [" x * 2\n    # and\n    # é more", " * 2\n    # and\n    # é more"]
    assert result["rests"] == [*rests, "    # and\n    # é more"]
    assert (result["accepted"], result["again"]) == (True, False)
    assert result["cursor"] == [4, len("    # é more".encode())]
    assert result["mapped"] == "Accept the longllama suggestion up to the next word"
    assert file.read_text() == f"def f(x):\n    {text}\n"

    # What the editor said, said to another server, gets the same answers.
    file.write_text("def f(x):\n    \n")
    assert replay(session, root, ["--model", f"script:{answers}"]) == []
