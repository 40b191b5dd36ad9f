"""From a request to a suggestion: prompt, prefill, greedy decoding, stop rules."""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import cache, partial

from longllama_code.errors import Cancelled
from longllama_code.generation.answer import Answer, Inputs, result_of
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.decoding.decoder import (
    PREFILL_STEP_TOKENS,
    ShouldStop,
)
from longllama_code.generation.decoding.stopping import repeats_next_line, stop_rule
from longllama_code.generation.decoding.writer import Writer
from longllama_code.generation.definition_memory.background import DefinitionEncoding
from longllama_code.generation.definition_memory.memory import DefinitionMemory
from longllama_code.generation.name_check import NameCheck
from longllama_code.generation.prompting.edit_excerpts import is_edit, still_recent, with_edits
from longllama_code.generation.prompting.excerpt_source import ExcerptSource, n_tokens_of
from longllama_code.generation.prompting.excerpt_sources import ExcerptSources
from longllama_code.generation.prompting.prepared_prompt import (
    Choice,
    Excerpts,
    Fit,
    Place,
    Prepared,
    Wanted,
)
from longllama_code.generation.prompting.prompt import (
    Excerpt,
    Prompt,
    PromptSource,
    build_prompt,
    opening,
)
from longllama_code.generation.prompting.short_context import comes_first, reading_name, short
from longllama_code.generation.prompting.shown_rows import Segments, with_shares
from longllama_code.memory.completion_memory import CompletionMemory, LocalText
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EncodedDefinitions,
    OnProgress,
    ignore_progress,
)

ENCODING_SHARE = 0.5
"""Share of a request's time in which definitions may be encoded that no one encoded before."""

_InputsOf = Callable[[Excerpts], Inputs]
"""Returns the inputs with some excerpts; made once for each."""


class Completer:
    """Writer of suggestions for one repository, on the thread that owns the model.

    Args:
        model: the model, which completers of several repositories may share.
        memory: memory of the repository.
        sources: sources of excerpts of the repository; None for empty ones.
    """

    def __init__(
        self,
        model: CompletionModel,
        memory: RepositoryMemory,
        sources: ExcerptSources | None = None,
    ) -> None:
        self._model, self._memory = model, memory
        self._sources = sources or ExcerptSources.create(model.tokenizer, memory)
        self._encoding: DefinitionEncoding | None = None
        if model.definitions is not None:
            self._encoding = DefinitionEncoding(
                model.definitions, self._sources.pieces, lambda: memory.files.keys()
            )

    def release_cache(self) -> None:
        """Drop the keys and values of this repository's prompts."""
        for source in self._sources.every:
            self._model.readings.drop(source)

    def encode_definitions(self) -> Generator[None, None, EncodedDefinitions]:
        """Encode some of the repository's definitions, if requests want them as memory.

        Yields between steps of a few tokens.
        """
        if self._encoding is None:
            return EncodedDefinitions()
        return (yield from self._encoding.step())

    @property
    def n_files_to_encode(self) -> int:
        """Number of files whose definitions are left to encode."""
        return 0 if self._encoding is None else self._encoding.n_waiting

    def complete(
        self,
        request: CompletionRequest,
        should_stop: ShouldStop,
        on_progress: OnProgress = ignore_progress,
    ) -> CompletionResult:
        """Return the greedy suggestion at a cursor, and alternatives if several are requested.

        Args:
            request: the cursor, and options.
            should_stop: whether the suggestion is no longer wanted; called between steps.
            on_progress: receives the text of the suggestion as it grows.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        started = time.perf_counter()
        wait = math.inf if request.is_ahead else request.timeout_ms / 1000
        inputs = cache(partial(self._inputs, request))
        goes_on = partial(_goes_on, should_stop, started + ENCODING_SHARE * wait)
        prepared = self._prepared(request, inputs, goes_on)
        n_unread = _fit(request, inputs, prepared).n_unread
        if comes_first(request, n_unread, self._model.speed):
            if not request.is_ahead:
                spent_ms = int(1000 * (time.perf_counter() - started))
                left = replace(request, timeout_ms=max(1, request.timeout_ms - spent_ms))
                answered = self.complete(short(left), should_stop, on_progress)
                return replace(answered, is_short=True)
            # Whoever comes while the whole is being read finds the short one read.
            self.complete(replace(short(request), max_tokens=1), should_stop)
        found = inputs(prepared.excerpts)
        prompt, memory, _ = found
        prepared.note(_place(request, prompt), len(prompt.ids))
        self._restore_prefix(request, prepared, memory)
        # Beside what other files define, copying takes right answers away.
        copied_from = None if prepared.excerpts else memory
        begin = partial(self._begin, prompt, copied_from, request)
        segments = self._segments(request, found, prepared.excerpts)
        times = started, started + wait
        answer = Answer(prepared.decoder, found, should_stop, *times, begin, segments.bounds)
        if not answer.read_prompt():
            return CompletionResult("", "deadline", answer.timings(), empty_reason="deadline")
        n_reused = prepared.decoder.n_reused
        check = NameCheck(self._sources.definitions.index, request)
        writer = check.checked(answer.write(on_progress=on_progress), answer, on_progress)
        is_repetition = repeats_next_line(request.prefix, writer.text, request.suffix)
        if is_repetition and not answer.is_late():
            for other in writer.asides(1):
                writer = check.checked(answer.write_again(other, on_progress), answer, on_progress)
        timings = replace(
            answer.timings(writer),
            reused_tokens=n_reused,
            memory_tokens=0 if memory is None else self._memory.n_seen_tokens,
        )
        result = result_of(writer, timings, memory)
        shares = segments.by_definition(prepared.decoder.shares)
        first_line, last_line = _lines(request, prompt)
        return replace(
            result,
            definitions=with_shares(
                self._excerpts(request).described(prepared.excerpts, result.text), shares
            ),
            first_line=first_line,
            last_line=last_line,
            alternatives=check.existing(answer.others(writer, request.n_candidates)),
        )

    def prepare(self, request: CompletionRequest) -> Generator[None, None, int]:
        """Process the names and excerpts that all prompts of a file begin with.

        Yields after each step, and ends early if a request for the file came in between, which
        processed them.

        Returns:
            Number of tokens that are processed, now or before.
        """
        source = self._excerpts(request)
        reading = self._model.readings.of(source, request.path)
        if not self._shows_excerpts(request) or self._definition_memory(request) is not None:
            return 0
        reading.drop(self._still_holds(request))
        prepared = reading.open(self._choice(request))
        ids = self._opening(request, prepared)
        memory = self._inputs(request, prepared.excerpts).memory
        self._restore_prefix(request, prepared, memory)
        decoder = prepared.decoder
        n_read, length = decoder.n_common([*ids, 0], memory), decoder.length
        while n_read < len(ids):
            yield
            if decoder.length != length:
                break
            length = n_read = decoder.read(ids[: n_read + PREFILL_STEP_TOKENS], memory)
        if prepared.of_file and decoder.length == len(ids) and not self._model.openings.has(ids):
            self._model.openings.put(ids, decoder.snapshot())
        return n_read

    def _restore_prefix(
        self, request: CompletionRequest, prepared: Prepared, memory: CompletionMemory | None
    ) -> None:
        """Load a file's prompt prefix from disk, if none of its prompts was processed so far."""
        if prepared.decoder.length or not prepared.of_file:
            return
        ids = self._opening(request, prepared)
        kept = self._model.openings.get(ids)
        if kept is not None:
            prepared.decoder.restore(ids, kept, memory)

    def _begin(
        self,
        prompt: Prompt,
        copied_from: CompletionMemory | None,
        request: CompletionRequest,
    ) -> Writer:
        """Return a writer for a suggestion."""
        return Writer(
            self._model.tokenizer,
            self._model.healer,
            self._model.ends,
            Copier.of(self._model.config, copied_from),
            list(prompt.ids),
            prompt.healed,
            stop_rule(request.prefix, request.suffix, request.multiline),
            self._max_tokens(request),
            self._min_confidence(request),
            request.writing_ms,
        )

    def _min_confidence(self, request: CompletionRequest) -> float:
        wanted = request.min_confidence
        least = self._model.config.min_confidence if wanted is None else wanted
        return max(least, request.min_confidence_floor)

    def _prepared(
        self, request: CompletionRequest, inputs: _InputsOf, goes_on: Callable[[], bool]
    ) -> Prepared:
        """Return the excerpts of the prompt, and the decoder that processed them.

        If the user waits and only the text at the cursor is unprocessed, the excerpts stay as they
        are: other ones would have to be processed first.
        """
        source = self._excerpts(request)
        reading = self._model.readings.of(source, reading_name(request))
        if request.local_tokens:
            whole = self._model.readings.of(source, request.path)
            reading.begin_with(whole, lambda one: len(self._opening(request, one)))
        reading.drop(self._still_holds(request))
        fit = partial(_fit, request, inputs)
        is_new = reading.go_to(request.prefix + request.suffix, fit)
        if not self._shows_excerpts(request):
            return reading.show_nothing()
        choice = self._choice(request, goes_on)
        if request.is_ahead:
            return reading.prepare(choice, is_new=is_new)
        return reading.renew(choice, fit)

    def _excerpts(self, request: CompletionRequest) -> ExcerptSource:
        """Return what chooses excerpts for a request."""
        return self._sources.named(request.repository_context)

    def _still_holds(self, request: CompletionRequest) -> Callable[[Excerpt], bool]:
        """Return a function that says whether an excerpt may still be shown."""
        source, edits = self._excerpts(request), request.recent_edits
        return lambda one: still_recent(one, edits) if is_edit(one) else source.still_hold(one)

    def _shows_excerpts(self, request: CompletionRequest) -> bool:
        """Whether the prompt shows excerpts of other files, to models trained to fill in."""
        is_taught = self._model.marks is not None and self._model.marks.always
        return is_taught and request.uses_memory and request.definition_tokens > 0

    def _definition_memory(self, request: CompletionRequest) -> DefinitionMemory | None:
        """Return the memory that definitions are placed from; None if the prompt shows them."""
        if request.repository_context != "memory" or not self._shows_excerpts(request):
            return None
        if self._encoding is not None:
            self._encoding.note(request)
        return self._model.definitions

    def _definition_tokens(self, request: CompletionRequest) -> int:
        """Return the most tokens of definitions."""
        return min(request.definition_tokens, self._model.config.window // 4)

    def _choice(
        self, request: CompletionRequest, goes_on: Callable[[], bool] = lambda: False
    ) -> Choice:
        """Return functions that choose excerpts for a request's file and for its cursor.

        Args:
            request: the cursor.
            goes_on: whether there is time to encode what is to be in memory.
        """
        path, prefix, suffix = request.path, request.prefix, request.suffix
        source, memory = self._excerpts(request), self._definition_memory(request)
        n_tokens = self._definition_tokens(request)

        def of_cursor(shown: Excerpts) -> Wanted:
            most = n_tokens
            if memory is None and request.cursor_definition_tokens is not None:
                of_file = sum(n_tokens_of(each, self._sources.definitions.count) for each in shown)
                most = min(most, of_file + request.cursor_definition_tokens)
            wanted = source.wanted(path, prefix, suffix, most, shown)
            if memory is None:
                return with_edits(wanted, request, self._sources.definitions)
            return memory.available(request.repository, wanted, goes_on)

        return Choice(lambda: source.used_by(path, prefix + suffix, n_tokens), of_cursor)

    def _inputs(self, request: CompletionRequest, excerpts: Excerpts) -> Inputs:
        """Return the prompt of a request with some excerpts, and what is beside it."""
        memory, n_tokens = self._definition_memory(request), self._most_tokens(request)
        placed = None
        if memory is not None:
            most = self._definition_tokens(request)
            placed = memory.placed(
                request.repository, excerpts, most, exchanges=not request.is_ahead
            )
            excerpts, n_tokens = (), n_tokens - most
        source = self._source(request, excerpts)
        prompt = build_prompt(source, self._model.tokenizer, n_tokens, self._model.marks)
        if placed is not None and tuple(prompt.ids[: len(placed.ids)]) != placed.ids:
            placed = None  # a name of half a prompt is cut
        return Inputs(prompt, self._completion_memory(request, prompt), placed)

    def _segments(self, request: CompletionRequest, inputs: Inputs, excerpts: Excerpts) -> Segments:
        """Return the tokens that show each definition, in memory or in the prompt."""
        rows = self._model.shown_rows
        if inputs.placed is not None:
            return rows.in_memory(excerpts, inputs.placed)
        if self._definition_memory(request) is not None:
            return Segments()
        return rows.in_prompt(request.repository, excerpts, len(inputs.prompt.ids))

    def _opening(self, request: CompletionRequest, prepared: Prepared) -> list[int]:
        """Return the token ids that all prompts of a file begin with."""
        source = self._source(request, prepared.of_file or ())
        return opening(source, self._model.tokenizer, self._model.marks)

    def _source(self, request: CompletionRequest, excerpts: Excerpts) -> PromptSource:
        return PromptSource(
            request.path,
            request.prefix,
            request.suffix,
            request.repository,
            excerpts,
            request.local_tokens,
        )

    def _max_tokens(self, request: CompletionRequest) -> int:
        """Return the most tokens of a suggestion."""
        return min(request.max_tokens, self._model.config.window // 2)

    def _most_tokens(self, request: CompletionRequest) -> int:
        """Return the most tokens of a prompt."""
        return self._model.config.window - self._max_tokens(request) - 1

    def _completion_memory(
        self, request: CompletionRequest, prompt: Prompt
    ) -> CompletionMemory | None:
        if not request.uses_memory:
            return None
        text = request.prefix + request.suffix
        local = LocalText(request.path, text, prompt.start, prompt.end)
        return CompletionMemory(self._memory, local, self._model.threads)


def _fit(request: CompletionRequest, inputs: _InputsOf, prepared: Prepared) -> Fit:
    """Return what is processed of a prompt that begins with some excerpts."""
    prompt, memory, placed = inputs(prepared.excerpts)
    decoder = prepared.decoder
    n_unread = len(prompt.ids) - decoder.n_common(prompt.ids, memory, placed)
    n_held = decoder.n_held(prompt.ids, memory, placed)
    return Fit(_place(request, prompt), n_held, n_unread)


def _place(request: CompletionRequest, prompt: Prompt) -> Place:
    """Return the text around the cursor that a prompt shows."""
    n_after = prompt.end - len(request.prefix)
    return Place(request.prefix[prompt.start :], request.suffix[:n_after])


def _goes_on(should_stop: ShouldStop, deadline: float) -> bool:
    """Whether there is time left.

    Raises:
        Cancelled: ``should_stop`` returned true.
    """
    if should_stop():
        raise Cancelled("the request was cancelled while definitions were encoded")
    return time.perf_counter() < deadline


def _lines(request: CompletionRequest, prompt: Prompt) -> tuple[int, int]:
    """Return the first and the last line of the file that a prompt shows, from 1."""
    first = request.prefix.count("\n", 0, prompt.start) + 1
    shown = (request.prefix + request.suffix).count("\n", prompt.start, prompt.end)
    return first, first + shown
