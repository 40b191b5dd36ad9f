"""Engine without a model, for tests of the server and of clients: a JSON file has its answers.

The setting ``model.path`` names it as ``script:FILE``. It takes the place of
`longllama_code.generation.engine.Engine`, needs no torch, and is ready in a fraction of a second.
It counts the files in its memory; a token is a byte of UTF-8, as for the model ``tiny``. It stores
nothing on disk.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import cattrs

from longllama_code.errors import Cancelled, ModelNotFound
from longllama_code.protocol import (
    ClearedStore,
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
    EngineStatus,
    OnProgress,
    RememberResult,
    Source,
    Timings,
    ignore_progress,
)

PREFIX = "script:"
POLL_S = 0.002
_values = cattrs.Converter(forbid_extra_keys=True)


def is_script(model: str) -> bool:
    """Whether a model's name is that of a script of answers."""
    return model.startswith(PREFIX)


@dataclass(frozen=True)
class Answer:
    """A suggestion, and the cursors that it is given at."""

    text: str
    r"""Text of the suggestion; ``\1`` is the first group of ``before``, a backslash is ``\\``."""
    path: str = "*"
    """Pattern of the file's path in memory; ``*`` matches any text."""
    before: str = ""
    """Regular expression that must match the end of the text before the cursor."""
    source: str | None = None
    """File that is reported as its source; the answer is given only while it is in memory."""
    delay_ms: int = 0
    alternatives: list[str] = field(default_factory=list[str])
    """Other suggestions, as `text`, for a request that wants several."""


@dataclass(frozen=True)
class Script:
    """Answers of an engine; the first that matches a request is given."""

    answers: list[Answer] = field(default_factory=list[Answer])
    remember_ms: int = 0
    """Time to remember a file."""


class ScriptedEngine:
    """Engine that answers from a script."""

    def __init__(self, name: str, script: Script) -> None:
        self._name, self._script = name, script
        self._texts: dict[str, str] = {}
        self._n_tokens = self._n_encoded = 0

    @classmethod
    def open(cls, model: str) -> "ScriptedEngine":
        """Read the script that ``model`` names.

        Raises:
            ModelNotFound: there is no such file, or it is not a valid script.
        """
        path = Path(model.removeprefix(PREFIX)).expanduser()
        try:
            script = _values.structure(json.loads(path.read_text("utf-8")), Script)
            for answer in script.answers:
                pattern = re.compile(rf"(?:{answer.before})\Z")
                for text in (answer.text, *answer.alternatives):
                    re.sub(pattern, text, "")  # its groups exist
        except cattrs.BaseValidationError as error:
            raise _no_script(path, "; ".join(cattrs.transform_error(error))) from None
        except (OSError, ValueError, re.error) as error:
            raise _no_script(path, str(error)) from None
        return cls(model, script)

    def warm_up(self) -> None:
        """Do nothing, as answers need no preparation."""

    def fork(self) -> "ScriptedEngine":
        """Return an engine for another repository, with the same script."""
        return ScriptedEngine(self._name, self._script)

    def release(self) -> None:
        """Release the repository."""
        self._texts.clear()
        self._n_tokens = 0

    def forget_all(self) -> None:
        """Take every file out of memory."""
        self.release()

    def clear_store(self) -> ClearedStore:
        """Remove nothing, as nothing is stored."""
        return ClearedStore()

    def define(self, texts: Mapping[str, str]) -> Generator[None, None, None]:
        """Do nothing, as answers are given for files in memory alone."""
        yield from ()

    def remember(
        self, path: str, text: str, folder: str = ""
    ) -> Generator[None, None, RememberResult]:
        """Take a file, or its new version, into memory."""
        time.sleep(self._script.remember_ms / 1000)
        yield
        is_kept = self._texts.get(path) == text
        self.forget(path)
        self._texts[path] = text
        self._n_tokens += _size(text)
        self._n_encoded += not is_kept
        return RememberResult(path, _size(text), 1, int(not is_kept), 0, int(is_kept))

    def forget(self, path: str) -> bool:
        """Take a file out of memory; False if it was not there."""
        text = self._texts.pop(path, None)
        self._n_tokens -= _size(text or "")
        return text is not None

    def complete(
        self,
        request: CompletionRequest,
        should_stop: Callable[[], bool],
        on_progress: OnProgress = ignore_progress,
    ) -> CompletionResult:
        """Return the first answer that matches; report half of it after half of its delay.

        Raises:
            Cancelled: ``should_stop`` returned True.
        """
        answer, texts = self._find(request)
        if answer is None:
            return CompletionResult("", "end_of_text", Timings(), [], "nothing_to_add")
        text, *others = texts[: request.n_candidates]
        for partial in (text[: len(text) // 2], ""):
            if not _wait(min(answer.delay_ms, request.timeout_ms) / 2, should_stop):
                raise Cancelled("the request was cancelled")
            if partial:
                on_progress(partial)
        if answer.delay_ms > request.timeout_ms:
            return CompletionResult("", "deadline", Timings(), [], "deadline")
        n_tokens = _size(text)
        timings = Timings(
            decode_ms=float(answer.delay_ms),
            prompt_tokens=_size(request.prefix),
            generated_tokens=n_tokens,
            passes=n_tokens,
            memory_tokens=self._n_tokens,
        )
        return CompletionResult(text, "line", timings, self._sources(answer), alternatives=others)

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Return 0, as answers need no preparation."""
        yield from ()
        return 0

    def encode_definitions(self) -> Generator[None, None, EncodedDefinitions]:
        """Do nothing, as definitions play no role in answers."""
        yield from ()
        return EncodedDefinitions()

    def status(self) -> EngineStatus:
        """Return what is in memory."""
        return EngineStatus(
            model=self._name,
            device="cpu",
            dtype="none",
            n_files=len(self._texts),
            n_segments=len(self._texts),
            n_tokens=self._n_tokens,
            token_bytes=1,
            memory_bytes=0,
            stored_segments=0,
            stored_bytes=0,
            encoded_segments=self._n_encoded,
            loaded_segments=0,
            damaged_segments=0,
            store_problem=None,
        )

    def _find(self, request: CompletionRequest) -> tuple[Answer | None, list[str]]:
        """Return the first answer that matches, and its texts."""
        for answer in self._script.answers:
            is_known = request.uses_memory and answer.source in self._texts
            found = re.search(rf"(?:{answer.before})\Z", request.prefix)
            if found is None or not fnmatchcase(request.path, answer.path):
                continue
            if answer.source is None or is_known:
                return answer, [found.expand(text) for text in (answer.text, *answer.alternatives)]
        return None, []

    def _sources(self, answer: Answer) -> list[Source]:
        if answer.source is None:
            return []
        n_lines = max(1, len(self._texts[answer.source].splitlines()))
        return [Source(answer.source, 1, n_lines, 1.0)]


def _no_script(path: Path, trouble: str) -> ModelNotFound:
    return ModelNotFound(
        f"{path} is not a valid script of answers: {trouble}; see docs/testing.md."
    )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _wait(delay_ms: float, should_stop: Callable[[], bool]) -> bool:
    """Wait; return False at once if the request is cancelled."""
    end = time.monotonic() + delay_ms / 1000
    while not should_stop():
        left = end - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, POLL_S))
    return False
