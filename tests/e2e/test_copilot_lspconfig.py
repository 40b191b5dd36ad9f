"""Neovim 0.12 set up for Copilot's server as nvim-lspconfig does it; the command is ours."""

import json
from pathlib import Path

from tests.e2e.recorded_server import RecordedServer
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB
from tests.e2e.test_neovim_0_12 import neovim

INIT = """
local version = tostring(vim.version())
vim.lsp.config("copilot", {{
  cmd = {{ "longllama-lsp", "--stdio" }},
  root_markers = {{ ".git" }},
  init_options = {{
    editorInfo = {{ name = "Neovim", version = version }},
    editorPluginInfo = {{ name = "Neovim", version = version }},
  }},
  settings = {{
    telemetry = {{ telemetryLevel = "all" }},
    longllama = {{ model = {{ path = {model} }}, engine = {{ idleMs = 0 }} }},
  }},
}})
vim.lsp.enable("copilot")
vim.lsp.inline_completion.enable()
vim.keymap.set("i", "(", "()<Left>")
vim.keymap.set("i", "<Tab>", vim.lsp.inline_completion.get)
function SignIn()
  local client = vim.lsp.get_clients({{ name = "copilot" }})[1]
  client:request("signIn", vim.empty_dict(), function(_, result) print(result.status) end)
end
"""


def test_ghost_text_is_shown_and_accepted_and_nobody_has_to_sign_in(tmp_path: Path) -> None:
    """Behind a character of two units, and in front of a bracket that was closed."""
    answers = [{"before": r"\U0001f40d', Usage\Z", "text": "Error) or x:\n        pass"}]
    server = RecordedServer(tmp_path, "def f(x):\n", answers)
    init = tmp_path / "init.lua"
    init.write_text(INIT.format(model=json.dumps(server.model)))
    options = ["--clean", "-n", "-u", str(init), str(server.file)]
    with neovim(options, tmp_path, server.environment) as screen:
        screen.wait(server.is_ready, "the server is not ready")
        screen.type(f":lua SignIn(){ENTER}")
        screen.expect("AlreadySignedIn")
        screen.type("oif isinstance('\U0001f40d', Usage")
        screen.expect("\U0001f40d', UsageError) or x:")
        screen.type(TAB)
        screen.expect("3,13")
        screen.type(f"{ESCAPE}:w{ENTER}")
        screen.wait(lambda: "Error" in server.saved, "the file was not saved")
    line = "    if isinstance('\U0001f40d', UsageError) or x:"
    assert server.saved == f"def f(x):\n{line}\n        pass\n"
    assert server.replay() == []
