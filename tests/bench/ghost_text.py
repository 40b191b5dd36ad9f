"""Share of ghost text shown inside words, by what ``editor.quickSuggestions`` is set to.

Lines of real files are typed up to the middle of a name, in a real workbench (code-server, headless
Chromium) with the real server, and looked at for some seconds: whether ghost text is shown beside
or without IntelliSense's list, whether it agrees with the list's selected entry, and when it came.
TypeScript has VS Code's own language server, Python the words of the file, which VS Code suggests
by default. Each file ends before the line that is typed, so the answer stands in no file.

A prefix is typed under one condition after the other, each time in another order, as the server
knows what it has answered.

Usage: python tests/bench/ghost_text.py [--prefixes 15] [--model coder-0.5b] [--only NAME …]
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run as a file, this has the folder tests/bench on its path, and needs the repository there.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.table_cells import row, times_ms
from tests.paths import ROOT
from tests.vscode.materials import build_extension
from tests.vscode.tools import install
from tests.vscode.window import Window, browse
from tests.vscode.workbench import workbench

SOURCES = {
    "ts": ("editor-client/vscode/src",),
    "py": ("lsp_server/indexing", "lsp_server/documents", "lsp_server/notices"),
}
"""Folders of this repository."""
OFF_WHEN, STRINGS_OFF = "offWhenInlineCompletions", {"comments": "off", "strings": "off"}
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "on": {"editor.quickSuggestions": {"other": "on", **STRINGS_OFF}},
    "offWhenInlineCompletions": {
        "editor.quickSuggestions": {"other": OFF_WHEN, "comments": OFF_WHEN, "strings": OFF_WHEN}
    },
    "VS Code's own": {"editor.quickSuggestions": {"other": OFF_WHEN, **STRINGS_OFF}},
    "on, beside the list": {
        "editor.quickSuggestions": {"other": "on", **STRINGS_OFF},
        "editor.inlineSuggest.experimental.showOnSuggestConflict": "always",
    },
}
NAME = re.compile(r"\b[A-Za-z]\w{6,}\b")
LOOK_MS = 4000
"""Time for which a prefix is watched, from its last key."""
WATCH = """async (lookMs) => {
  const began = performance.now(), seen = [];
  const text = (one) => one.textContent.replaceAll('\\u00a0', ' ');
  while (performance.now() - began < lookMs) {
    const ghosts = [...document.querySelectorAll('.view-lines [class*="ghost-text-decoration"]')];
    const list = document.querySelector('.suggest-widget.visible:not(.message)');
    const row = list?.querySelector('.monaco-list-row.focused .label-name');
    const [ghost, entry] = [ghosts.map(text).join(''), row ? text(row) : ''];
    const now = {ghost, list: list !== null, entry};
    const last = seen.at(-1);
    if (!last || last.ghost !== now.ghost || last.list !== now.list || last.entry !== now.entry)
      seen.push({...now, ms: Math.round(performance.now() - began)});
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  return seen;
}"""

LINE = """() => {
  const lines = [...document.querySelectorAll('.view-lines .view-line')];
  const last = lines.reduce((a, b) => (parseInt(b.style.top) > parseInt(a.style.top) ? b : a));
  return last.textContent.replaceAll('\u00a0', ' ');
}"""
"""Text of the lowest line in sight, with its ghost text."""


@dataclass(frozen=True)
class Prefix:
    """A line of a file, typed up to the middle of a name."""

    path: str
    typed: str
    word: str
    """The part of the name that is typed."""


@dataclass(frozen=True)
class Seen:
    """Ghost text and list that a prefix was seen with."""

    prefix: Prefix
    ghost: str
    """Ghost text in the end."""
    is_listing: bool
    """Whether IntelliSense's list was open in the end."""
    entry: str
    """Its selected entry."""
    first_ms: int | None
    """From the last key to the first ghost text; None without any."""

    @property
    def agrees(self) -> bool:
        """Whether the ghost text goes on as the selected entry does."""
        return (self.prefix.word + self.ghost).startswith(self.entry)


def cut(kind: str, n_prefixes: int, copy: Path, workspace: Path) -> list[Prefix]:
    """Put the sources into a workspace; the first files end before a line with a long name."""
    prefixes: list[Prefix] = []
    for path in sorted(copy.rglob(f"*.{kind}")):
        target = workspace / path.relative_to(copy)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines()
        found = _place(lines) if len(prefixes) < n_prefixes else None
        if found is None:
            target.write_text(path.read_text())
            continue
        number, match = found
        line, half = lines[number], match.start() + 3 + (len(match.group()) - 3) // 3
        indent = line[: len(line) - len(line.lstrip())]
        target.write_text("\n".join([*lines[:number], indent]))
        relative = target.relative_to(workspace).as_posix()
        prefixes.append(Prefix(relative, line[len(indent) : half], line[match.start() : half]))
    return prefixes


def _place(lines: Sequence[str]) -> tuple[int, re.Match[str]] | None:
    """A line of code in the file's second half whose last long name was used before."""
    for number in range(2 * len(lines) // 3, len(lines)):
        line = lines[number]
        code = line.strip()
        if not line[:1].isspace() or code.startswith(
            ("#", "//", "/*", "*", '"', "'", "`", "import")
        ):
            continue
        names = [name for name in NAME.finditer(line) if not _is_quoted(line, name.start())]
        names = [name for name in names if name.group() != "undefined"]
        if names and any(names[-1].group() in other for other in lines[:number]):
            return number, names[-1]
    return None


def _is_quoted(line: str, at: int) -> bool:
    return (
        any(line[:at].count(mark) % 2 for mark in "\"'`") or "//" in line[:at] or "#" in line[:at]
    )


def look(window: Window, prefix: Prefix) -> Seen:
    """Open the file, type the prefix at its end, and look."""
    window.open_at_end(prefix.path)
    window.page.wait_for_timeout(1000)  # the language server reads the file
    window.type(prefix.typed)
    states = window.page.evaluate(WATCH, LOOK_MS)
    last = states[-1]
    line = window.page.evaluate(LINE)
    if not line.strip().startswith(prefix.typed):
        raise SystemExit(f"{prefix} was typed, but its line is {line!r}: {last}")
    first = next((state["ms"] for state in states if state["ghost"]), None)
    window.press("Escape")
    window.press("Escape")
    window.run("File: Revert File")
    window.run("View: Close Editor")
    return Seen(prefix, last["ghost"], last["list"], last["entry"], first)


def measure(
    names: Sequence[str], model: str, n_prefixes: int, copy: Path
) -> Iterator[tuple[str, Seen]]:
    """Look at all prefixes under all conditions in one workbench, each time in another order."""
    with tempfile.TemporaryDirectory(prefix="ll-", ignore_cleanup_errors=True) as scratch:
        workspace, pictures = Path(scratch, "ws"), Path(scratch, "pictures")
        prefixes = [one for kind in SOURCES for one in cut(kind, n_prefixes, copy, workspace)]
        (workspace / "tsconfig.json").write_text('{"compilerOptions": {"strict": true}}')
        (workspace / ".venv").symlink_to(sys.prefix)
        pictures.mkdir()
        settings = {
            "editor.wordBasedSuggestions": "matchingDocuments",
            "search.exclude": {".venv": True},  # files are opened by their names
            "files.autoSave": "off",  # in a browser it is on, and nothing could be taken back
        }
        folder = Path(scratch, "wb")
        with (
            workbench(
                install(), folder, build_extension(), model=model, settings=settings
            ) as running,
            browse(pictures) as window,
        ):
            window.open(running.url(workspace, workspace / prefixes[0].path))
            window.expect_status("tokens")
            for number, prefix in enumerate(prefixes):
                first = number % len(names)
                for name in [*names[first:], *names[:first]]:
                    change_settings(folder, CONDITIONS[name])
                    yield name, look(window, prefix)


def change_settings(folder: Path, condition: Mapping[str, Any]) -> None:
    """Set what the condition sets, and nothing of others."""
    path = folder / "data" / "User" / "settings.json"
    names = {name for condition in CONDITIONS.values() for name in condition}
    kept = {name: v for name, v in json.loads(path.read_text()).items() if name not in names}
    path.write_text(json.dumps({**kept, **condition}))


def line_of(name: str, seen: Sequence[Seen]) -> str:
    """Return one condition's line of the table."""
    shown = [one for one in seen if one.ghost]
    beside = [one for one in shown if one.is_listing]
    return row(
        name,
        f"{len(shown)} of {len(seen)}",
        *(f"{sum(Path(s.prefix.path).suffix == f'.{kind}' for s in shown)}" for kind in SOURCES),
        f"{sum(one.first_ms is not None for one in seen)}",
        f"{len(beside)}",
        f"{sum(one.agrees for one in beside)}",
        f"{sum(one.is_listing for one in seen)}",
        *times_ms(one.first_ms for one in seen),
    )


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefixes", type=int, default=15, help="of each language (%(default)s)")
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--only", choices=CONDITIONS, nargs="+", help="these conditions")
    options = parser.parse_args()
    found: dict[str, list[Seen]] = {}
    with tempfile.TemporaryDirectory(prefix="ll-") as folder:
        copy = Path(folder)  # others may work on the sources meanwhile
        for source in [source for sources in SOURCES.values() for source in sources]:
            shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("test"))
        names = options.only or list(CONDITIONS)
        for name, one in measure(names, options.model, options.prefixes, copy):
            found.setdefault(name, []).append(one)
            print(name, one, flush=True)
    languages = " | ".join(SOURCES)
    print(
        f"| quickSuggestions | shown in the end | {languages} | ever shown | beside the list"
        " | agreeing | list open | ms p50 | ms p95 |"
    )
    for name, seen in found.items():
        print(line_of(name, seen), flush=True)
    print(json.dumps({name: [asdict(one) for one in seen] for name, seen in found.items()}))


if __name__ == "__main__":
    main()
