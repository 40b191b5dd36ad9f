"""From a request to a suggestion: prompt, prefill, greedy decoding, stop rules."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cache, partial

from longllama_code.errors import Cancelled
from longllama_code.generation.completion_model import CompletionModel
from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.decoding.decoder import PREFILL_STEP_TOKENS, Decoder, ShouldStop
from longllama_code.generation.decoding.speculation import Drafter
from longllama_code.generation.decoding.stopping import stop_rule
from longllama_code.generation.decoding.writer import Writer
from longllama_code.generation.prompting.excerpt_source import ExcerptSource
from longllama_code.generation.prompting.excerpt_sources import ExcerptSources
from longllama_code.generation.prompting.prepared_prompt import Choice, Excerpts, Prepared
from longllama_code.generation.prompting.prompt import Prompt, PromptSource, build_prompt, opening
from longllama_code.memory.completion_memory import CompletionMemory, LocalText
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EmptyReason,
    OnProgress,
    Timings,
    ignore_progress,
)

MAX_SOURCES = 8
LEAST_PROBABILITY = 0.02
"""Least probability of the first token of an alternative suggestion."""


_Inputs = tuple[Prompt, CompletionMemory | None]
_InputsOf = Callable[[Excerpts], _Inputs]
"""Returns the prompt that shows some excerpts, and the memory beside it; made once for each."""


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

    def release_cache(self) -> None:
        """Drop the keys and values of this repository's prompts."""
        for source in self._sources.every:
            self._model.readings.drop(source)

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
        inputs = cache(partial(self._inputs, request))
        prepared = self._prepared(request, inputs)
        prompt, memory = inputs(prepared.excerpts)
        self._restore_prefix(request, prepared, memory)
        deadline = started + request.timeout_ms / 1000
        begin = partial(self._begin, prompt, memory, request)
        answer = _Answer(prepared.decoder, prompt, memory, should_stop, started, deadline, begin)
        if not answer.read_prompt():
            return CompletionResult("", "deadline", answer.timings(), empty_reason="deadline")
        writer = answer.write(on_progress=on_progress)
        n_memory_tokens = 0 if memory is None else self._memory.n_seen_tokens
        timings = replace(answer.timings(writer), memory_tokens=n_memory_tokens)
        result = _result(writer, timings, memory)
        first_line, last_line = _lines(request, prompt)
        return replace(
            result,
            definitions=self._excerpts(request).described(prepared.excerpts, result.text),
            first_line=first_line,
            last_line=last_line,
            alternatives=answer.others(writer, request.n_candidates),
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
        if not self._shows_excerpts(request):
            return 0
        reading.drop(source.still_hold)
        prepared = reading.open(self._choice(request))
        ids = self._opening(request, prepared)
        _, memory = self._inputs(request, prepared.excerpts)
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
        memory: CompletionMemory | None,
        request: CompletionRequest,
        opening: int | None,
    ) -> Writer:
        """Return a writer for a suggestion that begins with ``opening``, if it is given."""
        return Writer(
            self._model.tokenizer,
            self._model.healer,
            self._model.ends,
            Copier.of(self._model.config, memory),
            list(prompt.ids),
            prompt.healed,
            stop_rule(request.prefix, request.suffix, request.multiline),
            self._max_tokens(request),
            self._min_confidence(request),
            opening,
        )

    def _min_confidence(self, request: CompletionRequest) -> float:
        wanted = request.min_confidence
        return self._model.config.min_confidence if wanted is None else wanted

    def _prepared(self, request: CompletionRequest, inputs: _InputsOf) -> Prepared:
        """Return the excerpts of the prompt, and the decoder that processed them.

        If the user waits and only the text at the cursor is unprocessed, the excerpts stay as they
        are: other ones would have to be processed first.
        """
        source = self._excerpts(request)
        reading = self._model.readings.of(source, request.path)
        if not self._shows_excerpts(request):
            return reading.show_nothing()
        reading.drop(source.still_hold)
        choice = self._choice(request)
        if request.is_ahead:
            return reading.prepare(choice)
        return reading.renew(choice, partial(_n_unread, inputs))

    def _excerpts(self, request: CompletionRequest) -> ExcerptSource:
        """Return what chooses excerpts for a request."""
        return self._sources.named(request.repository_context)

    def _shows_excerpts(self, request: CompletionRequest) -> bool:
        """Whether the prompt shows excerpts of other files, to models trained to fill in."""
        is_taught = self._model.marks is not None and self._model.marks.always
        return is_taught and request.uses_memory and request.definition_tokens > 0

    def _choice(self, request: CompletionRequest) -> Choice:
        """Return functions that choose excerpts for a request's file and for its cursor."""
        path, prefix, suffix = request.path, request.prefix, request.suffix
        source = self._excerpts(request)
        n_tokens = min(request.definition_tokens, self._model.config.window // 4)
        return Choice(
            lambda: source.used_by(path, prefix + suffix, n_tokens),
            lambda shown: source.wanted(path, prefix, suffix, n_tokens, shown),
        )

    def _inputs(self, request: CompletionRequest, excerpts: Excerpts) -> _Inputs:
        """Return the prompt of a request that shows some excerpts, and the memory beside it."""
        source = self._source(request, excerpts)
        prompt = build_prompt(
            source, self._model.tokenizer, self._most_tokens(request), self._model.marks
        )
        return prompt, self._completion_memory(request, prompt)

    def _opening(self, request: CompletionRequest, prepared: Prepared) -> list[int]:
        """Return the token ids that all prompts of a file begin with."""
        source = self._source(request, prepared.of_file or ())
        return opening(source, self._model.tokenizer, self._model.marks)

    def _source(self, request: CompletionRequest, excerpts: Excerpts) -> PromptSource:
        return PromptSource(
            request.path, request.prefix, request.suffix, request.repository, excerpts
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


@dataclass(frozen=True)
class _Answer:
    """Work on one request: its prompt is processed, then suggestions are written."""

    decoder: Decoder
    prompt: Prompt
    memory: CompletionMemory | None
    should_stop: ShouldStop
    started: float
    deadline: float
    begin: Callable[[int | None], Writer]
    """Returns a writer of a suggestion, with a given first token or None."""

    def read_prompt(self) -> bool:
        """Process the prompt; return whether that was done before the deadline.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        try:
            self.decoder.prefill(
                self.prompt.ids, self.memory, lambda: self.should_stop() or self._is_late()
            )
        except Cancelled:
            if not self._is_late():
                raise
            return False
        return True

    def _is_late(self) -> bool:
        return time.perf_counter() >= self.deadline

    def timings(self, writer: Writer | None = None) -> Timings:
        """Return times and counts so far, of the suggestion that was just written, if any."""
        now = time.perf_counter()
        began = now if writer is None else writer.began
        return Timings(
            prefill_ms=1000 * (began - self.started),
            decode_ms=1000 * (now - began),
            reused_tokens=self.decoder.n_reused,
            prompt_tokens=len(self.prompt.ids),
            generated_tokens=0 if writer is None else writer.n_tokens,
            passes=0 if writer is None else self.decoder.n_passes,
        )

    def write(
        self, opening: int | None = None, on_progress: OnProgress = ignore_progress
    ) -> Writer:
        """Write a suggestion to its end; call ``on_progress`` with its text as it grows.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        writer = self.begin(opening)
        drafter = Drafter(self.memory, writer.context)
        for token in self.decoder.steps(self.prompt.ids, self.memory, writer.choose, drafter):
            if self.should_stop():
                raise Cancelled("the request was cancelled while its suggestion was written")
            if writer.take(token) or writer.expired(self.deadline):
                return writer
            on_progress(writer.text)
        raise AssertionError("decoder.steps() never ends by itself")

    def others(self, first: Writer, n_candidates: int) -> list[str]:
        """Return alternatives, each with another first token, the likelier first tokens first."""
        texts = [first.text.rstrip()]
        for first_token, probability in first.openings[1:n_candidates]:
            if probability < LEAST_PROBABILITY or self._is_late():
                break
            self.decoder.prefill(self.prompt.ids, self.memory, self.should_stop)
            texts.append(self.write(first_token).text.rstrip())
        return [text for text in dict.fromkeys(texts[1:]) if text not in ("", texts[0])]


def _n_unread(inputs: _InputsOf, prepared: Prepared) -> int:
    """Return how many tokens of a prompt are not processed so far."""
    prompt, memory = inputs(prepared.excerpts)
    return len(prompt.ids) - prepared.decoder.n_common(prompt.ids, memory)


def _lines(request: CompletionRequest, prompt: Prompt) -> tuple[int, int]:
    """Return the first and the last line of the file that a prompt shows, from 1."""
    first = request.prefix.count("\n", 0, prompt.start) + 1
    shown = (request.prefix + request.suffix).count("\n", prompt.start, prompt.end)
    return first, first + shown


def _result(writer: Writer, timings: Timings, memory: CompletionMemory | None) -> CompletionResult:
    text = writer.text.rstrip()
    return CompletionResult(
        text=text,
        stop_reason=writer.stop_reason,
        timings=timings,
        sources=[] if memory is None else memory.sources(MAX_SOURCES),
        empty_reason=None if text else _empty_reason(writer),
        confidence=writer.confidence,
        mean_probability=writer.mean_probability,
        least_probability=writer.least_probability,
    )


def _empty_reason(writer: Writer) -> EmptyReason:
    reason = writer.stop_reason
    return reason if reason in ("deadline", "unsure") else "nothing_to_add"
