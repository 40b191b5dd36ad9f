"""Times that a person sees in VS Code: from a key to ghost text, and from a restart to ready.

In a real workbench (code-server, headless Chromium) with the real server on a copy of two folders
of this repository.

- Keys: once the server is ready, the first letters of a name are typed in ten places at the end of
  files, one key after the other. Of each: from the browser's key event to the first frame that
  shows ghost text behind what was typed. Where the ghost text began with the key, VS Code goes on
  with what it has; the other keys are also given apart, as they had to be answered.
- Restarts: a new window, with a new extension host and a new server, on the same code-server; from
  opening its address until our status says that all files are in memory, as they are stored on
  disk. Once the former window's server has ended, its engine is alive, as it stays for a while
  (`longllama.engine.idleMs`), or is ended as well.

Python's bytecode is kept, as it is of an installed server, whatever the environment says.

The stand-in answers at once, with another text at each key, so that all that is measured is VS
Code's time and the server's; a model shows what a user has. The stand-in's engine is never shared,
so it has no restarts.

Usage: python tests/bench/workbench_times.py [--model mini] [--keys 40] [--restarts 5]
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

# Run as a file, this has the folder tests/bench on its path, and needs the repository there.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.table_cells import row, times_ms
from tests.bench.typed_prefixes import SOURCES, SUFFIXES, Prefix, choose
from tests.vscode.materials import build_extension
from tests.vscode.tools import install
from tests.vscode.window import Window, browse
from tests.vscode.workbench import Workbench, workbench

STAND_IN = "stand-in"
LANGUAGE = "python"
N_LETTERS = 4
"""Keys of a name that are timed; `choose` types its first three."""
LOOK_MS = 5000
"""Time for which ghost text is waited for, from a key."""
PAUSE_MS = 300
"""From ghost text to the next key."""
SERVER, ENGINE = "longllama-lsp", "engine_process"
"""Words in the command lines of the server and of its engine."""
ENDS_S = 120
"""Time that a process has to end."""
LINGER = {"longllama.engine.idleMs": 600_000}
AIMS = {
    "key to ghost text": "p50 150 ms, p95 450 ms",
    "restart to ready, engine alive": "5 s",
    "restart to ready, no engine": "12 s",
}
MARKS = ("drawn", "activated", "ready")
RECORD = """
const marks = (globalThis.marks = {});
const mark = (name, holds) => {
  if (holds && marks[name] === undefined) marks[name] = performance.now();
};
const look = () => {
  const items = [...document.querySelectorAll('.statusbar-item')].map((one) => one.textContent);
  const ours = items.find((text) => text.includes('LongLLaMA')) ?? '';
  mark('drawn', document.querySelector('.monaco-workbench .part.statusbar'));
  mark('activated', ours);
  mark('ready', ours.includes('tokens'));
  if (marks.ready === undefined) setTimeout(look, 20);
};
look();
"""
"""Notes when the workbench is drawn, our status item is there, and it says ready."""
TIME_NEXT_KEY = """([line, lookMs]) => {
  const text = (one) => one.textContent.replaceAll('\\u00a0', ' ');
  const ghostOf = (one) =>
    [...one.querySelectorAll('[class*="ghost-text-decoration"]')].map(text).join('');
  globalThis.keyed = undefined;
  const onKey = ({ timeStamp }) => {
    const look = () => {
      const ms = performance.now() - timeStamp;
      for (const one of document.querySelectorAll('.view-lines .view-line')) {
        const ghost = ghostOf(one);
        const own = text(one).trim();
        if (ghost && own.startsWith(line) && own === line + ghost.trimEnd())
          return (globalThis.keyed = { ghost, ms });
      }
      if (ms >= lookMs) return (globalThis.keyed = { ghost: '', ms: null });
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  };
  addEventListener('keydown', onKey, { capture: true, once: true });
}"""


@dataclass(frozen=True)
class Key:
    """A key, and the ghost text that was seen after it."""

    path: str
    line: str
    """The line with the key, without its indentation."""
    ghost: str
    ms: float | None
    """From the key to the ghost text; None without any."""
    is_continued: bool
    """Whether the ghost text before the key began with it, and went on as it was."""


def press_keys(window: Window, workspace: Path, prefix: Prefix, n_keys: int) -> Iterator[Key]:
    """Type a line up to a name, and look at each of the name's first letters."""
    path = workspace / prefix.path
    whole = path.read_text("utf-8")
    path.write_text(prefix.head + prefix.indent, "utf-8")
    window.open_at_end(prefix.path)
    line = _before_name(prefix)
    window.type(line)
    window.page.wait_for_timeout(LOOK_MS)
    window.expect_status("tokens")
    ghost = ""
    for char in _letters(prefix)[:n_keys]:
        line += char
        window.page.evaluate(TIME_NEXT_KEY, [line, LOOK_MS])
        window.press(char)
        seen = window.page.wait_for_function("globalThis.keyed").json_value()
        continued = ghost.startswith(char) and seen["ghost"] == ghost[1:]
        yield Key(prefix.path, line, seen["ghost"], seen["ms"], continued)
        ghost = seen["ghost"]
        window.page.wait_for_timeout(PAUSE_MS)
    window.press("Escape")
    window.run("File: Revert File")
    path.write_text(whole, "utf-8")
    window.run("View: Close Editor")


def _before_name(prefix: Prefix) -> str:
    return prefix.typed[: len(prefix.typed) - len(prefix.word)]


def _letters(prefix: Prefix) -> str:
    """Return the first letters of the name."""
    more = re.match(r"\w*", prefix.rest)
    return (prefix.word + (more.group() if more else ""))[:N_LETTERS]


def answers(prefixes: Sequence[Prefix]) -> list[dict[str, str]]:
    """Return a scripted engine's answers: another one at each key, so that none goes on."""
    return [
        {
            "path": f"*{prefix.path}",
            "before": re.escape(_before_name(prefix) + _letters(prefix)[:number]),
            "text": f"{number}_scripted",
        }
        for prefix in prefixes
        for number in range(1, N_LETTERS + 1)
    ]


def restart(running: Workbench, workspace: Path, *, has_engine: bool) -> dict[str, float]:
    """Open a window as after a restart; milliseconds from its address to each mark."""
    before = _engines(running)
    if not has_engine:
        for engine in before:
            engine.terminate()
        _wait_until_gone(running, ENGINE)
    with browse(running.folder) as window:
        window.page.add_init_script(RECORD)
        window.open(running.url(workspace))
        window.page.wait_for_function("marks.ready")
        marks: dict[str, float] = window.page.evaluate("marks")
        is_same = [one.pid for one in _engines(running)] == [one.pid for one in before]
        if is_same != has_engine:
            raise RuntimeError(f"engines before and now: {before}, {_engines(running)}")
        close(window, running)
    return marks


def close(window: Window, running: Workbench) -> None:
    """Leave the workbench as a person does, and wait until its server has ended."""
    window.page.goto("about:blank")
    _wait_until_gone(running, SERVER)


def _engines(running: Workbench) -> list[psutil.Process]:
    return _processes(running, ENGINE)


def _wait_until_gone(running: Workbench, word: str) -> None:
    deadline = time.monotonic() + ENDS_S
    while found := _processes(running, word):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ended within {ENDS_S} s: {found}")
        time.sleep(0.1)


def _processes(running: Workbench, word: str) -> list[psutil.Process]:
    """Return this workbench's processes with a word in their command line."""
    cache = str(running.folder / "cache")
    return [
        process
        for process in psutil.process_iter(["cmdline", "environ", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        if (process.info["environ"] or {}).get("LONGLLAMA_CACHE") == cache
        if any(word in argument for argument in process.info["cmdline"] or ())
    ]


def write_workspace(workspace: Path) -> None:
    """Copy the files that are typed in, and the environment that holds the server."""
    workspace.mkdir()
    for folder in SOURCES[LANGUAGE]:
        for path in folder.glob(f"*{SUFFIXES[LANGUAGE]}"):
            shutil.copy(path, workspace)
    (workspace / ".venv").symlink_to(sys.prefix)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure keys and restarts in one workbench."""
    prefixes = choose(LANGUAGE, -(-options.keys // N_LETTERS), 0)
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as scratch:
        workspace, script = Path(scratch, "ws"), Path(scratch, "script.json")
        write_workspace(workspace)
        script.write_text(json.dumps({"answers": answers(prefixes)}), "utf-8")
        model = f"script:{script}" if options.model == STAND_IN else options.model
        folder, vsix = Path(scratch, "wb"), build_extension()
        kept = _environment(Path(scratch, "bytecode"))
        with workbench(
            install(), folder, vsix, model=model, settings=LINGER, environment=kept
        ) as running:
            try:
                return _measure(running, workspace, prefixes, options)
            finally:
                for engine in _engines(running):
                    engine.terminate()


def _environment(bytecode: Path) -> dict[str, str]:
    """Return this process's variables, with a folder for bytecode: ours may not be written."""
    inherited = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return inherited


def _measure(
    running: Workbench, workspace: Path, prefixes: Sequence[Prefix], options: argparse.Namespace
) -> dict[str, Any]:
    with browse(running.folder) as window:
        window.open(running.url(workspace))
        window.expect_status("tokens")
        found: dict[str, Any] = {"keys": list(_keys(window, workspace, prefixes, options.keys))}
        close(window, running)
    n_restarts = 0 if options.model == STAND_IN else options.restarts
    for name, has_engine in (("alive", True), ("none", False)):
        runs = (restart(running, workspace, has_engine=has_engine) for _ in range(n_restarts))
        found[name] = list(runs)
    return found


def _keys(
    window: Window, workspace: Path, prefixes: Sequence[Prefix], n_keys: int
) -> Iterator[Key]:
    for number, prefix in enumerate(prefixes):
        for key in press_keys(window, workspace, prefix, n_keys - N_LETTERS * number):
            print(key, flush=True)
            yield key


def key_row(name: str, aim: str, keys: Sequence[Key]) -> str:
    """Return the table's line of some keys."""
    p50, p95 = times_ms(key.ms for key in keys)
    shown = f"{sum(key.ms is not None for key in keys)} of {len(keys)} shown"
    return row(name, aim, f"p50 {p50} ms, p95 {p95} ms; {shown}" if p50 else shown)


def restart_row(name: str, aim: str, runs: Sequence[dict[str, float]]) -> str:
    """Return the table's line of some restarts: the median and the worst, and the way there."""
    if not runs:
        return row(name, aim, "–")
    seconds = {mark: [run[mark] / 1000 for run in runs] for mark in MARKS}
    drawn, activated, ready = (statistics.median(seconds[mark]) for mark in MARKS)
    told = f"p50 {ready:.1f} s, worst {max(seconds['ready']):.1f} s"
    way = f"drawn after {drawn:.1f} s, our item after {activated:.1f} s"
    return row(name, aim, f"{told}; {way}")


def table(model: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield the table, aims beside what was measured."""
    keys: list[Key] = found["keys"]
    to_ghost, alive, none = AIMS.items()
    yield f"| model {model} | aim, at most | measured |"
    yield "|---|---|---|"
    yield key_row(*to_ghost, keys)
    yield key_row(
        "... where the key was not in the ghost text", "", [k for k in keys if not k.is_continued]
    )
    yield restart_row(*alive, found["alive"])
    yield restart_row(*none, found["none"])


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini", help=f"or {STAND_IN} (%(default)s)")
    parser.add_argument("--keys", type=int, default=40, help="(%(default)s)")
    parser.add_argument("--restarts", type=int, default=5, help="of each kind (%(default)s)")
    options = parser.parse_args()
    found = measure(options)
    print("\n".join(table(options.model, found)))
    keys = [asdict(key) for key in found["keys"]]
    print(json.dumps({"workbench_times": {**found, "keys": keys}, "model": options.model}))


if __name__ == "__main__":
    main()
