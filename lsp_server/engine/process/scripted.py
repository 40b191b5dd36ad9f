"""An engine without a model, for tests: what it answers stands in a JSON file.

Named as a model is, ``script:FILE``. It needs no torch, so that its process is ready in a fraction
of a second, and it answers as it was told to: in the place of
`longllama_code.generation.engine.Engine`, where what matters is the server or a client. Of files it
keeps what can be counted; a token is a byte in UTF-8, as for the model ``tiny``. Nothing is kept on
disk.
"""

import json
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import cattrs

from longllama_code.errors import Cancelled, ModelNotFound
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EngineStatus,
    RememberResult,
    Source,
    Tell,
    Timings,
    tell_nobody,
)

PREFIX = "script:"
POLL_S = 0.002
_values = cattrs.Converter(forbid_extra_keys=True)


@dataclass(frozen=True)
class Answer:
    """What is suggested where."""

    text: str
    r"""``\1`` in it is the first group of ``before``, so a backslash is written twice."""
    path: str = "*"
    """Pattern of the file's path in memory, where ``*`` is any text."""
    before: str = ""
    """Regular expression that the text before the cursor ends in."""
    source: str | None = None
    """A file that it draws on; only while that is in memory is this answered."""
    delay_ms: int = 0


@dataclass(frozen=True)
class Script:
    """All that is known beforehand; the first answer that fits is given, else none."""

    answers: list[Answer] = field(default_factory=list[Answer])
    remember_ms: int = 0
    """How long it takes to remember a file."""


class ScriptedEngine:
    """Files by their size, and answers from a script."""

    def __init__(self, name: str, script: Script) -> None:
        self._name, self._script = name, script
        self._texts: dict[str, str] = {}
        self._n_tokens = self._n_encoded = 0

    @classmethod
    def open(cls, model: str) -> "ScriptedEngine":
        """Read the script that ``model`` names.

        Raises:
            ModelNotFound: there is no such file, or it holds no script.
        """
        path = Path(model.removeprefix(PREFIX)).expanduser()
        try:
            script = _values.structure(json.loads(path.read_text("utf-8")), Script)
            for answer in script.answers:
                pattern = re.compile(rf"(?:{answer.before})\Z")
                re.sub(pattern, answer.text, "")  # its groups exist
        except cattrs.BaseValidationError as error:
            raise _no_script(path, "; ".join(cattrs.transform_error(error))) from None
        except (OSError, ValueError, re.error) as error:
            raise _no_script(path, str(error)) from None
        return cls(model, script)

    def beside(self) -> "ScriptedEngine":
        """Another one for another repository, with the same script."""
        return ScriptedEngine(self._name, self._script)

    def leave(self) -> None:
        """Let go of the repository."""
        self._texts.clear()
        self._n_tokens = 0

    def clear_store(self) -> int:
        """Nothing is stored."""
        return 0

    def remember(self, path: str, text: str) -> Generator[None, None, RememberResult]:
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
        """Take a file out of memory; False where it was not there."""
        text = self._texts.pop(path, None)
        self._n_tokens -= _size(text or "")
        return text is not None

    def complete(
        self,
        request: CompletionRequest,
        should_stop: Callable[[], bool],
        tell: Tell = tell_nobody,
    ) -> CompletionResult:
        """The first answer that fits; after half of its delay, half of it is told.

        Raises:
            Cancelled: ``should_stop`` said so.
        """
        answer, text = self._find(request)
        if answer is None:
            return CompletionResult("", "end_of_text", Timings(), [], "nothing_to_add")
        for told in (text[: len(text) // 2], ""):
            if not _wait(min(answer.delay_ms, request.timeout_ms) / 2, should_stop):
                raise Cancelled("nobody waits for the answer any more")
            if told:
                tell(told)
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
        return CompletionResult(text, "line", timings, self._sources(answer))

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Read nothing: answers are ready."""
        yield from ()
        return 0

    def status(self) -> EngineStatus:
        """What is in memory."""
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
            store_problem="a script keeps nothing on disk",
        )

    def _find(self, request: CompletionRequest) -> tuple[Answer | None, str]:
        """The first answer that fits, and its text."""
        for answer in self._script.answers:
            is_known = request.uses_memory and answer.source in self._texts
            found = re.search(rf"(?:{answer.before})\Z", request.prefix)
            if found is None or not fnmatchcase(request.path, answer.path):
                continue
            if answer.source is None or is_known:
                return answer, found.expand(answer.text)
        return None, ""

    def _sources(self, answer: Answer) -> list[Source]:
        if answer.source is None:
            return []
        n_lines = max(1, len(self._texts[answer.source].splitlines()))
        return [Source(answer.source, 1, n_lines, 1.0)]


def _no_script(path: Path, trouble: str) -> ModelNotFound:
    return ModelNotFound(f"{path} is no script of answers: {trouble}; see docs/testing.md.")


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _wait(delay_ms: float, should_stop: Callable[[], bool]) -> bool:
    """Let time pass; False if nobody waits any more."""
    end = time.monotonic() + delay_ms / 1000
    while not should_stop():
        left = end - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, POLL_S))
    return False
