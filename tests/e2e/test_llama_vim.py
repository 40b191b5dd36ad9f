"""The real llama.vim in a real Neovim, in a terminal, by keys alone: only its server is ours."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkouts import checkout
from tests.e2e.http_server import serving
from tests.e2e.terminal_screen import ENTER, ESCAPE, TAB, TerminalScreen, running
from tests.e2e.test_http_statistics import rows
from tests.e2e.test_neovim import neovim

INIT = """
let g:llama_config = {{ 'endpoint_fim': '{url}/infill', 'show_info': 0, 'ring_update_ms': 200 }}
set runtimepath^={plugin}
set statusline=at\\ %l,%c
set laststatus=2
"""
TEXT = "def f(x):\n"


@contextmanager
def editing(folder: Path, answers: list[dict[str, Any]]) -> Iterator[tuple[TerminalScreen, Path]]:
    """Neovim with llama.vim on a file of a workspace that is in the server's memory."""
    plugin = checkout("llama.vim", "autoload/llama.vim")
    if shutil.which("curl") is None:
        pytest.skip("llama.vim asks by curl")
    root = folder / "ws"
    root.mkdir()
    file = root / "a.py"
    file.write_text(TEXT)
    with serving(root, folder, answers) as server:
        server.until_ready()
        init = folder / "init.vim"
        init.write_text(INIT.format(url=server.url, plugin=plugin))
        environment = {**os.environ, "HOME": str(folder), "no_proxy": "127.0.0.1"}
        start = [neovim(), "--clean", "-n", "-u", str(init), str(file)]
        with running(start, root, environment) as screen:
            screen.expect("at 1,1")
            yield screen, file


def test_a_block_is_shown_accepted_and_saved(tmp_path: Path) -> None:
    """On a blank line llama.vim leaves out the indentation, and takes it from the answer."""
    block = "    return x * 2\n    # é more"
    with editing(tmp_path, [{"before": r"def f\(x\):\n", "text": block}]) as (screen, file):
        screen.type("o")  # Neovim indents
        screen.expect(f"{block}\n")
        screen.type(TAB)
        screen.expect("at 3,14")
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "return" in file.read_text(), "the file was not saved")
    assert file.read_text() == f"{TEXT}{block}\n"


def test_the_rest_of_a_line_is_shown_and_typed_on(tmp_path: Path) -> None:
    """What is typed as suggested needs no new answer: llama.vim has the rest."""
    with editing(tmp_path, [{"before": r"return ", "text": "x * 2"}]) as (screen, file):
        screen.type("oreturn ")
        screen.expect("    return x * 2")
        screen.type("x *")
        screen.expect("    return x * 2")
        screen.type(TAB)
        screen.expect("at 2,17")
        screen.type(f"{ESCAPE}:wq{ENTER}")
        screen.wait(lambda: "return" in file.read_text(), "the file was not saved")
    assert file.read_text() == f"{TEXT}    return x * 2\n"


def test_what_is_accepted_is_counted_once_and_what_is_asked_in_advance_is_not(
    tmp_path: Path,
) -> None:
    """Once it shows a suggestion, llama.vim asks for what follows it."""
    answers = [
        {"before": r"return x \* 2\n.*y = ", "text": "1234"},
        {"before": r"return x \* 2", "text": " - 1"},
        {"before": r"return ", "text": "x * 2"},
    ]
    with editing(tmp_path, answers) as (screen, _):
        screen.type("oreturn ")
        screen.expect("    return x * 2")
        screen.type(TAB)
        screen.expect("    return x * 2 - 1")
        screen.type(f"{ENTER}y = ")
        screen.expect("y = 1234")
        screen.type(f"{ESCAPE}:q!{ENTER}")
    found = [(outcome, n) for _, _, outcome, n in rows(tmp_path / "cache")]
    assert found.count(("accepted", len("x * 2"))) == 1
    assert [outcome for outcome, _ in found].count("accepted") == 1
