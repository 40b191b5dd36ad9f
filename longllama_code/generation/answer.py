"""Work on one answer: its prompt is processed, then suggestions are written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from longllama_code.errors import Cancelled
from longllama_code.generation.decoding.decoder import Decoder, PlacedText, ShouldStop
from longllama_code.generation.decoding.speculation import Drafter
from longllama_code.generation.decoding.writer import Writer
from longllama_code.generation.prompting.prompt import Prompt
from longllama_code.memory.completion_memory import CompletionMemory
from longllama_code.protocol import (
    CompletionResult,
    EmptyReason,
    OnProgress,
    Timings,
    ignore_progress,
)

MAX_SOURCES = 8
LEAST_PROBABILITY = 0.02
"""Least probability of the token with which an alternative leaves the suggestion."""


class Inputs(NamedTuple):
    """What a suggestion is written from."""

    prompt: Prompt
    memory: CompletionMemory | None
    placed: PlacedText | None
    """Definitions that are placed before the prompt instead of shown in it."""


@dataclass(frozen=True)
class Answer:
    """Work on one request: its prompt is processed, then suggestions are written."""

    decoder: Decoder
    inputs: Inputs
    should_stop: ShouldStop
    started: float
    deadline: float
    begin: Callable[[], Writer]
    """Returns a writer of a suggestion."""
    bounds: Sequence[int] = ()
    """Segments of the cache whose shares of attention are wanted; see ``Decoder.steps``."""

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.inputs.prompt

    @property
    def memory(self) -> CompletionMemory | None:
        """Memory of the repository beside it."""
        return self.inputs.memory

    def read_prompt(self) -> bool:
        """Process the prompt; return whether that was done before the deadline.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        try:
            self._prefill(lambda: self.should_stop() or self.is_late())
        except Cancelled:
            if not self.is_late():
                raise
            return False
        return True

    def _prefill(self, should_stop: ShouldStop) -> None:
        prompt, memory, placed = self.inputs
        self.decoder.prefill(prompt.ids, memory, should_stop, placed)

    def is_late(self) -> bool:
        """Whether the request's time is over."""
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

    def write(self, on_progress: OnProgress = ignore_progress) -> Writer:
        """Write a suggestion to its end; call ``on_progress`` with its text as it grows.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        return self._write_on(self.begin(), on_progress)

    def write_again(self, writer: Writer, on_progress: OnProgress = ignore_progress) -> Writer:
        """Write on at a suggestion that was taken back in part, to its end.

        Raises:
            Cancelled: ``should_stop`` returned true.
        """
        _, memory, placed = self.inputs
        self.decoder.prefill(list(writer.context), memory, self.should_stop, placed)
        return self._write_on(writer, on_progress)

    def _write_on(self, writer: Writer, on_progress: OnProgress) -> Writer:
        ids = list(writer.context)
        drafter = Drafter(self.memory, writer.context) if self.decoder.drafts_pay else None
        steps = self.decoder.steps(ids, self.memory, writer.choose, drafter, self.bounds)
        for token in steps:
            if self.should_stop():
                raise Cancelled("the request was cancelled while its suggestion was written")
            if writer.take(token) or writer.expired(self.deadline):
                return writer
            on_progress(writer.text)
        raise AssertionError("decoder.steps() never ends by itself")

    def others(self, first: Writer, n_candidates: int) -> list[str]:
        """Return alternatives to a suggestion, the likelier ones first."""
        texts = [first.text.rstrip()]
        for writer in first.asides(n_candidates - 1, LEAST_PROBABILITY):
            if self.is_late():
                break
            texts.append(self.write_again(writer).text.rstrip())
        return [text for text in dict.fromkeys(texts[1:]) if text not in ("", texts[0])]


def result_of(
    writer: Writer, timings: Timings, memory: CompletionMemory | None
) -> CompletionResult:
    """Return what a writer wrote."""
    text = writer.text.rstrip()
    return CompletionResult(
        text=text,
        stop_reason=writer.stop_reason,
        timings=timings,
        sources=[] if memory is None else memory.sources(MAX_SOURCES),
        memory_share=None if memory is None else memory.share,
        empty_reason=None if text else _empty_reason(writer),
        confidence=writer.confidence,
        mean_probability=writer.mean_probability,
        probability=writer.probability,
    )


def _empty_reason(writer: Writer) -> EmptyReason:
    reason = writer.stop_reason
    return reason if reason in ("deadline", "unsure", "unknown_name") else "nothing_to_add"
