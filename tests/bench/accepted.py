"""Ghost text seen and accepted: 60 prefixes typed in a real workbench, with Tab at the end.

Twenty lines each in Python, TypeScript and Go are typed at the end of a file, a third of them up to
a place beside closers that VS Code adds by itself. For each: whether ghost text is shown, whether
it goes on as IntelliSense's selected entry does where that list is open, how long it took from the
last key, and whether the file parses after Tab and the rest of the file.

The stand-in answers with the rest of each line, so that all that is wrong is ours; a model shows
what a user has.

Usage: python tests/bench/accepted.py [--model stand-in] [--prefixes 20] [--language python]
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# Run as a file, this has the folder tests/bench on its path, and needs the repository there.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.table_cells import row, times_ms
from tests.bench.typed_prefixes import SOURCES, SUFFIXES, Prefix, choose, parses, script
from tests.vscode.materials import build_extension
from tests.vscode.tools import install
from tests.vscode.window import Window, browse
from tests.vscode.workbench import workbench

STAND_IN = "stand-in"
LOOK_MS = 3000
"""Time for which ghost text is waited for, from the last key."""
SETTLED_MS = 400
"""Time for which it must stay as it is, before Tab."""
READ_MS = 1000
"""Time that language servers have to read a file."""
SAVES = 40
"""Attempts to save, two a second."""
WATCH = """async ([lookMs, settledMs]) => {
  const text = (one) => one.textContent.replaceAll('\\u00a0', ' ');
  const began = performance.now();
  let first = null, since = began, last = '';
  for (;;) {
    const now = performance.now();
    const parts = document.querySelectorAll('.view-lines [class*="ghost-text-decoration"]');
    const ghost = [...parts].map(text).join('');
    const row = document.querySelector(
      '.suggest-widget.visible:not(.message) .monaco-list-row.focused .label-name');
    const entry = row ? text(row) : '';
    if (ghost && first === null) first = now - began;
    if (ghost + '|' + entry !== last) [last, since] = [ghost + '|' + entry, now];
    const isSettled = ghost && now - since >= settledMs;
    if (isSettled || now - began >= lookMs) return {ghost, entry, first};
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}"""


@dataclass(frozen=True)
class Seen:
    """Ghost text and list that a prefix was seen with, and the file after Tab."""

    language: str
    path: str
    typed: str
    closers: str
    ghost: str
    entry: str
    """Selected entry of IntelliSense's list; empty if it is not open."""
    first_ms: float | None
    """From the last key to the ghost text; None without any."""
    line: str
    """The text after Tab from the line on."""
    agrees: bool
    """Whether the ghost text goes on as the selected entry does; True without a list."""
    parses: bool


def look(window: Window, workspace: Path, prefix: Prefix) -> Seen:
    """Type a prefix at the end of its file, look, press Tab, save, and read the file."""
    path = workspace / prefix.path
    whole = path.read_text("utf-8")
    path.write_text(prefix.head + prefix.indent)
    window.open_at_end(prefix.path)
    window.page.wait_for_timeout(READ_MS)
    window.type(prefix.typed)
    seen = window.page.evaluate(WATCH, [LOOK_MS, SETTLED_MS])
    ghost, entry = seen["ghost"], seen["entry"]
    if ghost:
        window.press("Tab")
    window.press("Escape")
    window.press("Escape")
    text = _saved(window, path, prefix)
    window.run("View: Close Editor")
    path.write_text(whole)
    return Seen(
        prefix.language,
        prefix.path,
        prefix.typed,
        prefix.closers,
        ghost,
        entry,
        seen["first"],
        text[len(prefix.head) :],
        not entry or (prefix.word + ghost).startswith(entry),
        parses(prefix, text),
    )


def _saved(window: Window, path: Path, prefix: Prefix) -> str:
    """Save the file, and return its text once that holds what was typed."""
    for _ in range(SAVES):
        window.press("Control+s")
        window.page.wait_for_timeout(500)
        text = path.read_text("utf-8")
        if prefix.typed in text[len(prefix.head) :]:
            return text
    raise TimeoutError(f"{path.name} was not saved with {prefix.typed!r}")


def measure(prefixes: Sequence[Prefix], model: str) -> Iterator[Seen]:
    """Look at all prefixes, in one workbench."""
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as scratch:
        workspace, pictures = Path(scratch, "ws"), Path(scratch, "pictures")
        for folder in (workspace, pictures):
            folder.mkdir()
        for language, folders in SOURCES.items():
            for folder in folders:
                for path in folder.glob(f"*{SUFFIXES[language]}"):
                    shutil.copy(path, workspace)
        (workspace / "tsconfig.json").write_text('{"compilerOptions": {"strict": true}}')
        (workspace / ".venv").symlink_to(sys.prefix)
        if model == STAND_IN:
            answers = Path(scratch, "script.json")
            answers.write_text(json.dumps({"answers": script(prefixes)}))
            model = f"script:{answers}"
        settings = {
            "editor.wordBasedSuggestions": "matchingDocuments",
            "search.exclude": {".venv": True},  # files are opened by their names
        }
        with (
            workbench(
                install(), Path(scratch, "wb"), build_extension(), model=model, settings=settings
            ) as running,
            browse(pictures) as window,
        ):
            window.open(running.url(workspace, workspace / prefixes[0].path))
            window.expect_status("tokens")
            window.run("View: Close Editor")
            for prefix in prefixes:
                yield look(window, workspace, prefix)


def line_of(name: str, seen: Sequence[Seen]) -> str:
    """Return one line of the table."""
    shown = [each for each in seen if each.ghost]
    listed = [each for each in shown if each.entry]
    return row(
        name,
        f"{len(shown)} of {len(seen)}",
        f"{sum(each.agrees for each in listed)} of {len(listed)}",
        f"{sum(each.parses for each in shown)} of {len(shown)}",
        *times_ms(each.first_ms for each in seen),
    )


def table(seen: Sequence[Seen]) -> Iterator[str]:
    """Yield the table: each language, alone and beside closers."""
    yield "| prefixes | ghost text | agrees with the list | parses after Tab | ms p50 | ms p95 |"
    yield "|---|---|---|---|---|---|"
    for language in dict.fromkeys(each.language for each in seen):
        own = [each for each in seen if each.language == language]
        yield line_of(language, [each for each in own if not each.closers])
        yield line_of(f"{language}, beside closers", [each for each in own if each.closers])
    yield line_of("all", seen)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=STAND_IN, help="(%(default)s)")
    parser.add_argument("--prefixes", type=int, default=20, help="of each language (%(default)s)")
    parser.add_argument("--language", choices=SOURCES, help="one language")
    options = parser.parse_args()
    languages = [options.language] if options.language else list(SOURCES)
    n_beside = (options.prefixes + 1) // 3
    prefixes = [each for name in languages for each in choose(name, options.prefixes, n_beside)]
    seen: list[Seen] = []
    for each in measure(prefixes, options.model):
        seen.append(each)
        print(each, flush=True)
    print("\n".join(table(seen)))
    print(json.dumps([asdict(each) for each in seen]))


if __name__ == "__main__":
    main()
