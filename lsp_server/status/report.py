"""The server's status, computed from engine, indexer and problems."""

from lsp_server.engine.client import EngineClient, EngineState
from lsp_server.engine.team.engine import TeamEngine
from lsp_server.indexing.file_table import Kind, Phase, Status, Totals
from lsp_server.indexing.indexer import Indexer
from lsp_server.indexing.throughput import Throughput, as_text, percent
from lsp_server.problems import Problems
from lsp_server.settings.declarations import Settings

WORKS = "suggestions already work"
NO_FOLDER = "no folder is open, so suggestions come from the open files alone"

Engine = EngineClient | TeamEngine


class StatusReport:
    """Computes the status; remembers how fast files were indexed."""

    def __init__(self) -> None:
        self._throughput = Throughput()

    def status(
        self,
        settings: Settings,
        engine: Engine | None,
        indexer: Indexer | None,
        last_reason: str | None,
        problems: Problems,
        *,
        has_folder: bool = True,
        snooze_minutes_left: int | None = None,
    ) -> Status:
        """Return the status now.

        Args:
            settings: the settings now.
            engine: the engine; None while it is stopped.
            indexer: the indexer; None while it is stopped.
            last_reason: reason code of the last request that had no suggestion.
            problems: what the session does without.
            has_folder: whether the workspace has a folder.
            snooze_minutes_left: minutes for which typing requests nothing; None if it does.
        """
        kind, phase, message, is_busy = _phase(settings, engine, indexer, problems)
        totals = indexer.totals() if indexer else Totals()
        self._note(phase, totals)
        if phase == "indexing":
            message = self._reading(totals)
        if phase in ("ready", "indexing") and not has_folder:
            message = NO_FOLDER
        if phase not in ("off", "failed") and snooze_minutes_left is not None:
            message = f"{message}; snoozed, {snooze_minutes_left} min left"
        if engine is not None and engine.note:
            message = f"{message}; {engine.note}"
            if kind == "Normal" and engine.is_limited:  # a local engine in place of a team's
                kind = "Warning"
        if phase not in ("off", "failed") and problems.summary:
            message = f"{message}; {problems.summary}"
            kind = "Warning" if kind == "Normal" else kind
        return Status(
            kind,
            phase,
            message,
            is_busy,
            totals,
            engine_restarts=engine.n_restarts if engine else 0,
            last_reason=last_reason,
            tokens_per_second=self._throughput.tokens_per_second,
            seconds_left=self._throughput.seconds_left,
            progress=self._progress(totals) if phase == "indexing" else None,
            languages=settings.enable_languages,
            snooze_minutes_left=snooze_minutes_left,
        )

    def _note(self, phase: Phase, totals: Totals) -> None:
        if phase == "indexing":
            self._throughput.note(totals)
        elif phase == "paused" and totals.waiting:
            self._throughput.pause()
        else:
            self._throughput.reset()

    def _reading(self, totals: Totals) -> str:
        """Say what is read and how far that is."""
        if _looks_for_files(totals):
            return f"looking for files; {WORKS}"
        if not self._throughput.is_long:
            return "reading what has changed"
        left = as_text(self._throughput.share, self._throughput.seconds_left)
        return f"reading the repository: {left}; {WORKS}"

    def _progress(self, totals: Totals) -> float | None:
        """Return the share of the repository that is read; None for what an edit changed.

        An edited file is read again at each pause in typing: it is no share of the repository, and
        clients would tell of "99 %" each time.
        """
        if not self._throughput.is_long and not _looks_for_files(totals):
            return None
        return percent(self._throughput.share) / 100


def _looks_for_files(totals: Totals) -> bool:
    return not totals.waiting and not totals.in_memory


def _phase(
    settings: Settings, engine: Engine | None, indexer: Indexer | None, problems: Problems
) -> tuple[Kind, Phase, str, bool]:
    """Return kind, phase and message of the status, and whether the server is busy."""
    if not settings.enable:
        return "Inactive", "off", "turned off", False
    if engine is not None and engine.state is EngineState.FAILED:
        return "Error", "failed", engine.message, False
    if problems.failure and (engine is None or not engine.ready):
        return "Error", "failed", problems.failure, False
    if engine is None:
        return "Normal", "loading", "starting", True
    if not engine.ready:
        return "Warning" if engine.n_restarts else "Normal", "loading", engine.message, True
    if indexer is None:  # it could not be made; see the problems
        return "Warning", "ready", "nothing is in memory", False
    if indexer.paused:
        return "Inactive", "paused", "indexing is paused", False
    if indexer.waits_for_power:
        on_battery = "on battery: only open and changed files are taken in"
        return "Inactive", "paused", on_battery, False
    if indexer.busy:
        return "Normal", "indexing", "reading the repository", True
    return "Normal", "ready", "the repository is in memory", False
