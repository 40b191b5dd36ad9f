"""From a request to a suggestion: prompt, prefill, greedy decoding, stop rules."""

import time
from copy import copy

import torch
from torch import Tensor

from longllama_code.errors import Cancelled
from longllama_code.generation.copying import Copier
from longllama_code.generation.decode import Decoder, ShouldStop
from longllama_code.generation.healing import TokenHealer
from longllama_code.generation.infill import InfillMarks, end_ids, never_written
from longllama_code.generation.prompt import Prompt, build_prompt
from longllama_code.generation.speculation import Drafter
from longllama_code.generation.stopping import StopRule, stop_rule
from longllama_code.memory.repository import RepositoryMemory
from longllama_code.memory.view import LocalText, MemoryView
from longllama_code.model.modeling import LongLlamaForCausalLM
from longllama_code.model.small_pass import SmallPass
from longllama_code.protocol import (
    CompletionRequest,
    CompletionResult,
    EmptyReason,
    StopReason,
    Timings,
)
from longllama_code.tokenizer import IncrementalDecoder, Tokenizer

MAX_SOURCES = 8


class Completer:
    """Answers requests one at a time, on the thread that owns the model."""

    def __init__(
        self,
        model: LongLlamaForCausalLM,
        tokenizer: Tokenizer,
        memory: RepositoryMemory,
        small: SmallPass | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._memory = memory
        self._config = model.config
        self._healer = TokenHealer(tokenizer)
        self._window = model.config.window
        self._marks = InfillMarks.of(model.config, tokenizer)
        self._ends = end_ids(tokenizer, self._marks)
        forbidden = never_written(tokenizer, self._marks, model.config.vocab_size)
        self._decoder = Decoder(model, forbidden, small)

    def beside(self, memory: RepositoryMemory) -> "Completer":
        """The same for another memory, with keys and values of its own."""
        other = copy(self)
        other._memory, other._decoder = memory, self._decoder.beside()
        return other

    def rest(self) -> None:
        """Let go of the keys and values of the last request."""
        self._decoder.rest()

    def complete(self, request: CompletionRequest, should_stop: ShouldStop) -> CompletionResult:
        """The greedy suggestion at a cursor.

        Raises:
            Cancelled: ``should_stop`` said so, within one decode step or one prefill step.
        """
        started = time.perf_counter()
        deadline = started + request.timeout_ms / 1000
        max_tokens = min(request.max_tokens, self._window // 2)
        prompt = self._prompt(request, self._window - max_tokens - 1)
        view = self._view(request, prompt)
        try:
            reused = self._decoder.prefill(
                prompt.ids, view, lambda: should_stop() or time.perf_counter() >= deadline
            )
        except Cancelled:
            if time.perf_counter() < deadline:
                raise
            timings = Timings(1000 * (time.perf_counter() - started), prompt_tokens=len(prompt.ids))
            return CompletionResult("", "deadline", timings, empty_reason="deadline")
        prefilled = time.perf_counter()
        copier = Copier.of(self._config, view)
        writer = _Writer(
            self._tokenizer, self._healer, self._ends, copier, prompt, request, max_tokens
        )
        drafter, n_passes = Drafter(view, writer.context), self._decoder.n_passes
        for token in self._decoder.steps(prompt.ids[-1], view, writer.choose, drafter):
            if should_stop():
                raise Cancelled("the request was withdrawn while its answer was written")
            if writer.take(token) or writer.expired(deadline):
                break
        timings = Timings(
            prefill_ms=1000 * (prefilled - started),
            decode_ms=1000 * (time.perf_counter() - prefilled),
            reused_tokens=reused,
            prompt_tokens=len(prompt.ids),
            generated_tokens=writer.n_tokens,
            passes=self._decoder.n_passes - n_passes,
            memory_tokens=self._memory.rows.n_tokens if view is not None else 0,
        )
        return _result(writer, timings, view)

    def _prompt(self, request: CompletionRequest, max_tokens: int) -> Prompt:
        return build_prompt(
            request.path, request.prefix, self._tokenizer, max_tokens, request.suffix, self._marks
        )

    def _view(self, request: CompletionRequest, prompt: Prompt) -> MemoryView | None:
        if not request.uses_memory:
            return None
        text = request.prefix + request.suffix
        return MemoryView(self._memory, LocalText(request.path, text, prompt.start, prompt.end))


class _Writer:
    """The suggestion as it grows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        healer: TokenHealer,
        ends: frozenset[int],
        copier: Copier | None,
        prompt: Prompt,
        request: CompletionRequest,
        max_tokens: int,
    ) -> None:
        self._tokenizer, self._healer, self._copier = tokenizer, healer, copier
        self._ends = ends
        self.context = prompt.context
        self._decoder = IncrementalDecoder(tokenizer)
        self._rule: StopRule = stop_rule(request.prefix, request.suffix, request.multiline)
        self._max_tokens = max_tokens
        # As the tokenizer spells it: a character without bytes of its own has become U+FFFD, and
        # a vocabulary that merges blanks has made one of them.
        healed = tokenizer.decode(tokenizer.encode(prompt.healed))
        self._owed = healed.encode()
        self._skip = len(healed)
        self._text = ""
        self.n_tokens = 0
        self.stop_reason: StopReason = "max_tokens"

    @property
    def text(self) -> str:
        """What is to be inserted at the cursor."""
        return self._text[self._skip :]

    def choose(self, logits: Tensor) -> int:
        """The most likely token; while healed text is owed, of those that agree with it."""
        if self._copier is not None:
            logits = self._copier.mix(logits, self.context)
        if self._owed:
            spelt = [] if self._copier is None else self._copier.candidates
            logits = self._healer.constrain(logits, self._owed, spelt)
        return int(torch.argmax(logits))

    def take(self, token: int) -> bool:
        """Append a token; True when the suggestion is complete."""
        self.n_tokens += 1
        self.context.append(token)
        if self._copier is not None:
            self._copier.chose(token)
        if token in self._ends:
            self.stop_reason = "end_of_text"
            return True
        self._owed = self._owed[len(self._tokenizer.token_bytes(token)) :]
        self._text += self._decoder.push(token)
        finished = self._rule.cut(self.text)
        if finished is not None:
            self._text = self._text[: self._skip] + finished[0]
            self.stop_reason = finished[1]
            return True
        return self.n_tokens >= self._max_tokens

    def expired(self, deadline: float) -> bool:
        """Whether time is up."""
        if time.perf_counter() < deadline:
            return False
        self.stop_reason = "deadline"
        return True


def _result(writer: _Writer, timings: Timings, view: MemoryView | None) -> CompletionResult:
    text = writer.text.rstrip()
    return CompletionResult(
        text=text,
        stop_reason=writer.stop_reason,
        timings=timings,
        sources=[] if view is None else view.sources(MAX_SOURCES),
        empty_reason=None if text else _empty_reason(writer),
    )


def _empty_reason(writer: _Writer) -> EmptyReason:
    return "deadline" if writer.stop_reason == "deadline" else "nothing_to_add"
