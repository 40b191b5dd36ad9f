"""Conditions of a comparison: what a model sees in addition to the text before the cursor.

    local          nothing
    own            memory of the repository
    foreign        memory of other repositories
    both           memory of all of these
    composed       the repository's nearest files, in the prompt
    oracle         the definitions of the names that the line will use, in the prompt
    attended       memory of the repository, read by attention alone
    copied         memory of the repository, read by copying alone
    after-memory   memory of the repository, and of the text after the cursor's line
    after-prompt   memory of the repository; that text's first lines in the prompt (infill marks)
    after-only     that text's first lines in the prompt, without memory

Every condition has the same local text before the cursor. The last five run only if named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from longllama_code.definitions.layout import path_distance
from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.decoding.decoder import Decoder
from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.decoding.stopping import LineEnd
from longllama_code.generation.decoding.writer import Writer
from longllama_code.generation.models import LoadedModel
from longllama_code.generation.prompting.infill import InfillMarks, end_ids, never_written
from longllama_code.generation.prompting.prompt import PromptSource, build_prompt
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.segments.identity import path_header
from longllama_code.research.evaluation.completion.lines import Project
from longllama_code.research.evaluation.names.reader import Definition
from longllama_code.tokenizers.tokenizer import Tokenizer

DEFAULT_CONDITIONS = ("local", "own", "foreign", "both", "composed", "oracle")
MARKED_CONDITIONS = ("after-prompt", "after-only")
"""Conditions whose prompt has the text after the cursor between infill marks."""
AFTER_CONDITIONS = ("after-memory", *MARKED_CONDITIONS)
"""Conditions that add the text after the cursor, by memory or in the prompt."""
PART_CONDITIONS = ("attended", "copied")
"""Conditions that read memory in only one of the two ways that ``own`` does."""
CONDITIONS = (*DEFAULT_CONDITIONS, *PART_CONDITIONS, *AFTER_CONDITIONS)
MAX_LINE_TOKENS = 64
"""Maximum number of tokens of a completed line."""
MAX_DEFINITIONS = 3
"""Maximum number of a name's definitions that the oracle shows, nearest first."""
MAX_DEFINITION_LINES = 40

Context = Callable[[str, Sequence[str], int], list[int]]
"""Returns token ids to put before a file's text, given its path, names to use and a maximum."""
Remember = Callable[[str, str], RepositoryMemory]
"""Returns the memory of one cursor, given its file's path and the text after it."""


@dataclass(frozen=True)
class Answer:
    """A completed line and its cost."""

    text: str
    n_tokens: int
    """Tokens that went through the model, of the prompt and generated."""
    seconds: float
    """Time of prompt and generation; memory was encoded before."""


@dataclass(frozen=True)
class Condition:
    """What a model sees in addition to the local text."""

    memory: RepositoryMemory | None = None
    context: Context | None = None
    remember: Remember | None = None
    """Returns the memory for each cursor, instead of one for all."""
    marks: InfillMarks | None = None
    """Infill marks; with them, the prompt begins with the text after the cursor."""
    attends: bool = True
    """Whether memory layers see the memory."""
    copies: bool = True
    """Whether what follows the same tokens in memory is copied, by models with a gate."""

    def memory_for(self, path: str, after: str) -> RepositoryMemory | None:
        """Return the memory for a cursor, which may encode the text after it first."""
        return self.memory if self.remember is None else self.remember(path, after)

    def context_ids(self, path: str, names: Sequence[str], max_tokens: int) -> list[int]:
        """Return the ids to put between the document's begin token and the file's header."""
        return [] if self.context is None else self.context(path, names, max(0, max_tokens))


class LineCompleter:
    """Completes lines like the server's ``Completer``, with a context before the header.

    Nothing is cached between completions, so that times are comparable.
    """

    def __init__(self, loaded: LoadedModel, prompt_tokens: int) -> None:
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        self._healer = TokenHealer(loaded.tokenizer)
        marks = InfillMarks.of(loaded.model.config, loaded.tokenizer)
        self._ends = end_ids(loaded.tokenizer, marks)
        self._forbidden = never_written(loaded.tokenizer, marks, loaded.model.config.vocab_size)
        self._max_tokens = min(MAX_LINE_TOKENS, loaded.model.config.window // 4)
        self._room = loaded.model.config.window - self._max_tokens - 1
        self._prompt_tokens = prompt_tokens

    def complete(
        self, condition: Condition, path: str, prefix: str, names: Sequence[str], after: str = ""
    ) -> Answer:
        """Complete greedily to the end of the line.

        Args:
            condition: what the model sees in addition to the prefix.
            path: the file.
            prefix: its text before the cursor.
            names: names of the line that other files define, for the oracle.
            after: the file's text after the line, for conditions that show it.
        """
        memory = condition.memory_for(path, after)
        started = time.perf_counter()
        around = PromptSource(path, prefix, after)
        prompt = build_prompt(around, self._tokenizer, self._room, condition.marks)
        room = min(self._prompt_tokens, self._room - len(prompt.ids))
        shown = condition.context_ids(path, names, room)
        ids = insert(self._tokenizer, shown, prompt.ids)
        view = None if memory is None else CompletionMemory(memory, None)
        copier = Copier.of(self._model.config, view) if condition.copies else None
        writer = self._writer(list(ids), prompt.healed, copier)
        self._write(ids, writer, view if condition.attends else None)
        seconds = time.perf_counter() - started
        return Answer(writer.text.rstrip(), len(ids) + writer.n_tokens, seconds)

    def _writer(self, context: list[int], healed: str, copier: Copier | None) -> Writer:
        tools = self._tokenizer, self._healer, self._ends, copier
        return Writer(*tools, context, healed, LineEnd(), self._max_tokens)

    def _write(self, ids: list[int], writer: Writer, view: CompletionMemory | None) -> None:
        """Write the line."""
        decoder = Decoder(self._model, self._forbidden)
        decoder.prefill(ids, view, lambda: False)
        for token in decoder.steps(ids, view, writer.choose):
            if writer.take(token):
                return


def make_conditions(
    names: Iterable[str],
    tokenizer: Tokenizer,
    memories: Mapping[str, RepositoryMemory],
    remembered: Mapping[str, str],
    project: Project,
    remember: Remember | None = None,
    marks: InfillMarks | None = None,
) -> dict[str, Condition]:
    """Return the conditions of one repository.

    Args:
        names: those to make, of ``CONDITIONS``.
        tokenizer: the model's.
        memories: the memory of each condition that has one for all cursors.
        remembered: the repository's files in memory, by path, without held-out ones.
        project: the definitions of these files.
        remember: returns memory with the text after a cursor, for ``after-memory``.
        marks: the model's infill marks, for ``MARKED_CONDITIONS``.
    """
    contexts: dict[str, Context] = {
        "composed": lambda path, _, room: nearest_files(tokenizer, remembered, path, room),
        "oracle": lambda path, used, room: definitions(
            tokenizer, remembered, _definitions(project, path, used), room
        ),
    }
    return {
        name: Condition(
            memories.get(name),
            contexts.get(name),
            remember if name == "after-memory" else None,
            marks if name in MARKED_CONDITIONS else None,
            attends=name != "copied",
            copies=name != "attended",
        )
        for name in names
    }


def insert(tokenizer: Tokenizer, context: list[int], ids: list[int]) -> list[int]:
    """Return ids with a context behind the document's begin token."""
    n_begin = 0 if tokenizer.bos_id is None else 1
    return ids[:n_begin] + context + ids[n_begin:]


def nearest_files(
    tokenizer: Tokenizer, texts: Mapping[str, str], path: str, max_tokens: int
) -> list[int]:
    """Return ids of the files nearest to a path, the nearest last, cropped from the left."""
    ids: list[int] = []
    for other in sorted(texts, key=lambda other: (path_distance(path, other), other)):
        if len(ids) >= max_tokens:
            break
        ids = tokenizer.encode(_document(other, texts[other])) + ids
    return _last(ids, max_tokens)


def definitions(
    tokenizer: Tokenizer, texts: Mapping[str, str], found: Sequence[Definition], max_tokens: int
) -> list[int]:
    """Return ids of the definitions' lines, each behind its file's header, cropped from the left.

    Args:
        tokenizer: the model's.
        texts: the files, by path.
        found: the definitions in the order in which to show them.
        max_tokens: the maximum number of ids.
    """
    shown = "".join(_document(one.path, _lines(texts[one.path], one)) for one in found)
    return _last(tokenizer.encode(shown), max_tokens)


def _definitions(project: Project, path: str, names: Sequence[str]) -> list[Definition]:
    """Return the nearest definitions of each name, the very nearest last."""
    found: list[Definition] = []
    for name in names:
        of_name = project.definitions.get(name, ())
        found += sorted(of_name, key=lambda one: path_distance(path, one.path))[:MAX_DEFINITIONS]
    return sorted(found, key=lambda one: (-path_distance(path, one.path), one.path, one.first_line))


def _lines(text: str, definition: Definition) -> str:
    first = definition.first_line - 1
    last = min(definition.last_line, first + MAX_DEFINITION_LINES)
    return "\n".join(text.split("\n")[first:last])


def _document(path: str, text: str) -> str:
    return f"{path_header(path)}{text}" + ("" if text.endswith("\n") else "\n")


def _last(ids: list[int], n: int) -> list[int]:
    return ids[max(0, len(ids) - n) :]
