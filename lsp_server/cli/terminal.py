"""Output of the commands: a progress bar, suggestions in their file, sources and timings."""

import sys
from pathlib import Path
from typing import Any, TextIO

from lsp_server.indexing.throughput import time_as_text

Json = dict[str, Any]

BAR_CHARS = 30
CONTEXT_LINES = 6
MAX_SOURCES = 3


class Terminal:
    """Prints for people, with colours and a moving bar only on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_tty = self._stream.isatty()
        self._tenths: int | None = None
        self._ended = False

    def print(self, text: str = "") -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def show_progress(self, status: Json) -> None:
        """Move the bar; without a terminal, print a line for every tenth."""
        files = status["files"]
        total = files["in_memory"] + files["waiting"]
        if self._ended or status["phase"] != "indexing" or not total:
            return
        progress = status.get("progress")
        share = files["in_memory"] / total if progress is None else progress
        filled = round(BAR_CHARS * share)
        bar = "█" * filled + "░" * (BAR_CHARS - filled)
        left = status.get("seconds_left")
        pace = "" if left is None else f", {time_as_text(left)} left"
        line = (
            f"{bar} {files['in_memory']}/{total} files, {files['tokens']:,} tokens in memory{pace}"
        )
        if self._is_tty:
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
        elif int(10 * share) != self._tenths:
            self.print(line)
        self._tenths = int(10 * share)

    def end_progress(self) -> None:
        """Show no bar any more."""
        self._ended = True
        if self._is_tty and self._tenths is not None:
            self.print()

    def print_suggestion(self, path: Path, text: str, offset: int, suggestion: str) -> None:
        """Print the lines before the cursor, and the suggestion in grey behind it."""
        before = text[:offset].split("\n")
        first = max(0, len(before) - CONTEXT_LINES)
        rest = text[offset:].partition("\n")[0]
        self.print(self._dim(f"── {path}:{len(before)} ──"))
        for number, line in enumerate(before[first:-1], start=first + 1):
            self.print(f"{number:5} {line}")
        ghost = self._grey(suggestion.replace("\n", "\n      "))
        self.print(f"{len(before):5} {before[-1]}{ghost}{rest}")

    def print_sources(self, explained: Json | None) -> None:
        """Print where a suggestion came from, and how long it took."""
        if explained is None or explained["timings"] is None:
            return
        named = [each for each in explained.get("definitions", ()) if each["is_named"]]
        for each in named[:MAX_SOURCES]:
            self.print(f"      shown {each['name']} of {each['path']}:{each['first_line']}")
        for source in explained["sources"][:MAX_SOURCES]:
            lines = f"{source['path']}:{source['first_line']}-{source['last_line']}"
            self.print(f"      from {lines}  ({100 * source['mass']:.0f}% of what it drew on)")
        timings = explained["timings"]
        self.print(
            f"      {timings['generated_tokens']} tokens in "
            f"{timings['prefill_ms'] + timings['decode_ms']:.0f} ms "
            f"(read {timings['prompt_tokens']} tokens: {timings['prefill_ms']:.0f} ms, "
            f"write: {timings['decode_ms']:.0f} ms), {timings['memory_tokens']:,} tokens in memory"
        )

    def print_prompt(self, explained: Json) -> None:
        """Print sources, what the prompt held and why, and the probabilities of the answer."""
        self.print_sources(explained)
        if explained["timings"] is None:
            return
        first, last = explained["ownLines"]
        self.print(f"      of the file itself, it was shown lines {first} to {last}")
        definitions = explained["definitions"]
        n_tokens = sum(each["n_tokens"] for each in definitions)
        self.print(f"      of other files, {len(definitions)} excerpts, {n_tokens} tokens:")
        for each in definitions:
            where = f"{each['path']}:{each['first_line']}"
            named = ", named by the suggestion" if each["is_named"] else ""
            self.print(f"        {each['name']}  {where}  ({each['reason']}{named})")
        self.print(
            f"      its first word had a probability of {explained['confidence']:.0%}, "
            f"its tokens {explained['meanProbability']:.0%} in the mean; "
            f"it ended with: {explained['stopReason']}"
        )

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._is_tty else text

    def _grey(self, text: str) -> str:
        return f"\x1b[90;3m{text}\x1b[0m" if self._is_tty else f"⟦{text}⟧"
