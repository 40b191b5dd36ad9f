"""The plugin as others use it: the worked examples of its page run in a session of its own."""

import re
import subprocess
import sys

import pytest

from lsp_server.testing.editors import EDITORS, capabilities_of
from tests.deadline import DEADLINE_S
from tests.paths import ROOT

PAGE = ROOT / "docs" / "testing.md"


def examples():
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_worked_examples_pass(tmp_path):
    for number, code in enumerate(examples()):
        (tmp_path / f"test_example_{number}.py").write_text(code)
    (tmp_path / "sessions").symlink_to(PAGE.parent / "sessions")
    settings = ["[pytest]", f"longllama_timeout_s = {DEADLINE_S}", "filterwarnings = error"]
    settings += ["asyncio_default_fixture_loop_scope = function"]  # of pytest-asyncio, beside us
    (tmp_path / "pytest.ini").write_text("\n".join(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_the_plugin_costs_other_sessions_nothing():
    code = (
        "import lsp_server.testing.plugin, sys;"
        "print({'pygls', 'torch', 'pytest_lsp', 'watchdog'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", EDITORS)
def test_every_editor_says_what_it_can_do(name):
    can = capabilities_of(name)
    assert can.text_document is not None
    has_ghost_text = can.text_document.inline_completion is not None
    assert has_ghost_text == (name == "vscode")
    assert can.text_document.completion is not None


def test_an_editor_that_nobody_knows():
    with pytest.raises(ValueError, match="choose one of emacs, helix, neovim, vscode"):
        capabilities_of("ed")
