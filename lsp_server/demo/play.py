"""The course of the demo: lines are typed and completed, then a definition is edited on disk."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_server.demo.answers import Answer
from lsp_server.demo.own_lines import own_places
from lsp_server.demo.places import Place
from lsp_server.demo.sample import RENAMING, Renaming, copy_sample, sample_places
from lsp_server.demo.screen import Screen
from lsp_server.demo.stage import Sheet, Stage, two_servers, until

Json = dict[str, Any]

PLACES = 5
KEY_S = 0.03
"""Time between two keys on a terminal."""
MAX_INDEXING_S = 5.0
"""Longest wait for definitions before the first line; imported files come first."""
MAX_NOTICE_S = 30.0
"""Longest wait for the server to notice an edit on disk."""
PROJECT, ALONE = "with the project", "the file alone"
EDITED = "after the edit"
RULES = (
    "Each line's end is taken away and suggested again. It stands in no file that the model",
    "knows: right is what stood there, letter by letter. Beside it is what the same model says",
    "of the file alone. Prompts are short here: 256 tokens of other files, not 768.",
)
NEXT = (
    ("longllama-lsp demo --root ~/src/app", "five lines of a project of yours"),
    ("longllama-lsp explain FILE:LINE:COL", "what the model is shown at a cursor, and why"),
    ("longllama-lsp diagnose", "what may keep it from working, and what to do"),
    ("longllama-lsp", "the server: the command that your editor starts"),
)


async def show_sample(settings: Json, screen: Screen) -> int:
    """Complete lines of the sample project in a copy of it; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="longllama-demo-") as folder:
        root = await asyncio.to_thread(copy_sample, Path(folder))
        screen.say(f"The project: a small web shop in Python, copied to {root}")
        return await _Show(screen, settings, RENAMING).run(root, sample_places(root))


async def show_project(root: Path, places: Sequence[Place], settings: Json, screen: Screen) -> int:
    """Complete lines of a user's project, of which nothing is written; return the exit code.

    Args:
        root: the project's folder.
        places: the lines; if there are none, some are chosen.
        settings: the user's settings.
        screen: where to show it.
    """
    screen.say(f"The project: {root}; nothing in it is changed")
    found = places or await asyncio.to_thread(own_places, root, PLACES)
    if not found:
        screen.say("No line was found that goes on with a name of another file; name one, such as")
        screen.say("  longllama-lsp demo --root FOLDER FILE:LINE")
        return 1
    return await _Show(screen, settings).run(root, found)


class _Show:
    """One run of the demo."""

    def __init__(self, screen: Screen, settings: Json, renaming: Renaming | None = None) -> None:
        self._screen, self._settings, self._renaming = screen, settings, renaming
        self._n_right = self._n_right_alone = 0
        self._has_suggested = False

    async def run(self, root: Path, places: Sequence[Place]) -> int:
        """Show all places and the edit; return the exit code."""
        started = time.perf_counter()
        for line in RULES:
            self._screen.say(line)
        async with two_servers(root, places, self._settings) as stage:
            try:
                await self._begin(stage, started)
                for number, place in enumerate(places, start=1):
                    self._screen.heading(place, number, len(places))
                    sheet = await self._show(stage, place)
                    if self._renaming is not None and number == len(places):
                        await self._show_edit(root, sheet, self._renaming)
            finally:
                for message in dict.fromkeys(stage.project.warnings):
                    print(f"longllama-lsp: {message}", file=sys.stderr)
        self._end(len(places), time.perf_counter() - started)
        return 0 if self._has_suggested else 1

    async def _begin(self, stage: Stage, started: float) -> None:
        ready_s = time.perf_counter() - started
        await until(stage.project, lambda each: each["phase"] != "indexing", MAX_INDEXING_S)
        status = await stage.project.status()
        self._screen.say(
            f"\n{status['engine']['model']} and the server were ready after {ready_s:.1f} s; "
            f"{status['files']['in_memory']} files are in memory, "
            f"{status['files']['waiting']} follow in the background."
        )

    async def _show(self, stage: Stage, place: Place) -> Sheet:
        """Type a line, and show what is suggested with the project and without."""
        sheet = stage.in_project(place)
        for end in range(1, len(place.typed) + 1):
            sheet.type(place.typed[:end])
            self._screen.write(place.typed[end - 1])
            await asyncio.sleep(KEY_S if self._screen.is_terminal else 0)
        answer = await self._ask(sheet)
        self._screen.say()
        self._note(place, answer)
        alone = await stage.by_itself(place).ask()
        self._screen.result(ALONE, place, alone)
        self._n_right_alone += place.is_right(alone.text)
        return sheet

    def _note(self, place: Place, answer: Answer) -> None:
        self._n_right += place.is_right(answer.text)
        self._has_suggested |= bool(answer.text)
        self._screen.result(PROJECT, place, answer)
        self._screen.sources(answer)

    async def _ask(self, sheet: Sheet) -> Answer:
        self._screen.wait()
        answer = await sheet.ask()
        self._screen.ghost(answer.text)
        return answer

    async def _show_edit(self, root: Path, sheet: Sheet, renaming: Renaming) -> None:
        """Rename a definition on disk, and ask again where it is used."""
        before = _n_read(await sheet.client.status())
        line = await asyncio.to_thread(renaming.apply, root)
        changed = time.perf_counter()
        self._screen.say(
            f"\n{renaming.file}:{line} is edited on disk: {renaming.old} is now {renaming.new}\n"
        )
        await until(sheet.client, lambda status: _n_read(status) > before, MAX_NOTICE_S)
        noticed_s = time.perf_counter() - changed
        place = renaming.after(sheet.place)
        self._screen.last_line(place)
        answer = await self._ask(sheet)
        self._screen.say()
        self._screen.result(EDITED, place, answer)
        self._screen.sources(answer)
        self._screen.say(f"      the server had read the edit after {noticed_s:.1f} s")

    def _end(self, n_places: int, seconds: float) -> None:
        say = self._screen.say
        say(f"\n{PROJECT}: {self._n_right} of {n_places} right")
        say(f"{ALONE}: {self._n_right_alone} of {n_places} right")
        say(f"It took {seconds:.0f} s.\n\nNext:\n")
        self._screen.listed(NEXT)


def _n_read(status: Json) -> int:
    """Return how many pieces of files were read so far."""
    files = status["files"]
    return files["segments_encoded"] + files["segments_loaded"]
