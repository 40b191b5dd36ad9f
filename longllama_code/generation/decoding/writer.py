"""Writer of a suggestion: chooses its tokens, and knows when it is complete."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from copy import copy
from heapq import nlargest
from itertools import accumulate
from operator import itemgetter

import torch
from torch import Tensor

from longllama_code.generation.decoding.best_part import best_part, parts_of
from longllama_code.generation.decoding.copying import Copier
from longllama_code.generation.decoding.healing import TokenHealer
from longllama_code.generation.decoding.name_choice import NameChoice
from longllama_code.generation.decoding.stopping import Ending
from longllama_code.protocol import StopReason
from longllama_code.tokenizers.tokenizer import IncrementalDecoder, Tokenizer


class Writer:
    """Suggestion that grows token by token.

    Args:
        tokenizer: the model's.
        healer: restricts the first tokens to those that continue ``healed``.
        ends: tokens that end every suggestion.
        copier: copies from memory; None uses the model's prediction alone.
        context: ids of the prompt, to which chosen tokens are appended.
        healed: text before the cursor with which the tokens must begin.
        ending: rule that completes the suggestion.
        max_tokens: most tokens of the suggestion.
        min_confidence: least probability that all of the suggestion is right, 0 to 1. Above 0, the
            suggestion is the part of the text that is most worth showing; see ``best_part``.
        writing_ms: time since the first token after which a text of several lines ends with a
            whole line; None: no limit.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        healer: TokenHealer,
        ends: frozenset[int],
        copier: Copier | None,
        context: list[int],
        healed: str,
        ending: Ending,
        max_tokens: int,
        min_confidence: float = 0.0,
        writing_ms: int | None = None,
    ) -> None:
        self._tokenizer, self._healer, self._copier = tokenizer, healer, copier
        self._ends = ends
        self.context = context
        self._n_prompt = len(context)
        self._names: NameChoice | None = None
        self._decoder = IncrementalDecoder(tokenizer)
        self._ending = ending
        self._max_tokens = max_tokens
        self._writing_s = math.inf if writing_ms is None else writing_ms / 1000
        self._min_confidence, self._is_unsure = min_confidence, False
        # Spelt by the tokenizer, which may replace a character by U+FFFD, or merge blanks.
        spelt = tokenizer.decode(tokenizer.encode(healed))
        self._owed = self._healed = spelt.encode()
        """The part of the healed text that the tokens have not spelt yet."""
        self._skip = len(spelt)
        """Length of the healed text, with which ``_text`` begins."""
        self._text = ""
        self.n_tokens = 0
        self.began = 0.0
        """Time at which the first token was chosen, after the prompt was processed."""
        self.stop_reason: StopReason = "max_tokens"
        self._confidence: float | None = None
        self._log_probs: list[float] = []
        """Log probabilities of the last tokens, which ``healed`` does not determine."""
        self._seconds: list[tuple[int, float]] = []
        """For each of them, the second likeliest token and its log probability."""
        self._forced: int | None = None
        """Token that is chosen next, whatever is likeliest."""
        self._lengths: list[int] = []
        """Length of the suggestion after each of them that was taken."""
        self.probability = 0.0
        """Probability that all of the suggestion is right, 0 to 1; 0 until it is complete."""

    @property
    def text(self) -> str:
        """Text to insert at the cursor."""
        return self._text[self._skip :]

    @property
    def confidence(self) -> float:
        """Probability of the first token that ``healed`` does not determine, 0 to 1."""
        return self._confidence or 0.0

    @property
    def mean_probability(self) -> float:
        """Geometric mean of the tokens' probabilities, 0 to 1."""
        count = len(self._log_probs)
        return math.exp(sum(self._log_probs) / count) if count else 0.0

    def choose(self, logits: Tensor) -> int:
        """Return the most likely token; while healed text is left, of those that continue it.

        Args:
            logits: the model's, (V,).
        """
        self.began = self.began or time.perf_counter()
        if self._copier is not None:
            logits = self._copier.mix(logits, self.context)
        if self._names is not None:
            logits = self._names.constrain(logits)
        elif self._owed:
            spelt = [] if self._copier is None else self._copier.candidates
            logits = self._healer.constrain(logits, self._owed, spelt)
        forced, self._forced = self._forced, None
        return self._noted(int(torch.argmax(logits)) if forced is None else forced, logits)

    def _noted(self, token: int, logits: Tensor) -> int:
        """Record the probability of a chosen token, unless ``healed`` determines it; return it."""
        if self._confidence is not None or self._says_something(token):
            total = logits.float().logsumexp(0)
            others = logits.index_fill(0, torch.tensor(token, device=logits.device), -math.inf)
            second = int(torch.argmax(others))
            log_prob = float(logits[token].float() - total)
            of_second = float(others[second].float() - total)
            self._log_probs.append(log_prob)
            self._seconds.append((second, of_second))
            if self._confidence is None and of_second > -math.inf:
                self._confidence = math.exp(log_prob)
            self._is_unsure = math.exp(sum(self._log_probs)) < self._min_confidence
        return token

    def _says_something(self, token: int) -> bool:
        """Whether a token says more than the healed text that is left."""
        return not self._owed or len(self._tokenizer.token_bytes(token)) > len(self._owed)

    def take(self, token: int) -> bool:
        """Append a token; return whether the suggestion is complete."""
        if self._is_unsure:
            return self._finish(self.text + self._decoder.push(token), "unsure")
        self.n_tokens += 1
        self.context.append(token)
        if self._copier is not None:
            self._copier.chose(token)
        if token in self._ends:
            finished = self._ending.cut(f"{self.text}\n")  # its last line is whole now
            if finished is not None and finished[0] != self.text.rstrip():
                return self._finish(*finished)
            return self._finish(self.text, "end_of_text")
        self._owed = self._owed[len(self._tokenizer.token_bytes(token)) :]
        if self._names is not None and self._names.took(token):
            self._names = None
        self._text += self._decoder.push(token)
        if self._log_probs:
            self._lengths.append(len(self.text))
        finished = self._ending.cut(self.text)
        if finished is not None:
            return self._finish(*finished)
        if self.n_tokens < self._max_tokens and not self._may_end_with_line():
            return False
        return self._finish(self._ending.unfinished(self.text), "max_tokens")

    def _finish(self, text: str, reason: StopReason) -> bool:
        """Complete the suggestion with a text, or the part of it that is worth showing."""
        self.stop_reason = reason
        taken = self._log_probs[: len(self._lengths)]
        parts = list(parts_of(text, self._lengths, taken))
        if self._min_confidence:
            part = best_part(parts, self._min_confidence)
            self.stop_reason = reason if part.text == text.rstrip() else "unsure"
            text, parts = part.text, [part]
        self.probability = parts[-1].probability if parts else 0.0
        self._say(text)
        return True

    def _may_end_with_line(self) -> bool:
        """Whether the text has a whole line, and was written for longer than it may take."""
        if time.perf_counter() - self.began < self._writing_s:
            return False
        return bool(self.text.rpartition("\n")[0].strip())

    def go_back(self, offset: int, names: Iterable[str]) -> None:
        """Take back the text from an offset on, so that one of some names is written there.

        Args:
            offset: offset in the text of the first letter that is to be replaced.
            names: what may stand there, from that letter on.
        """
        head = self._text[: self._skip + offset].encode()
        n_kept = n_bytes = 0
        for token in self.context[self._n_prompt :]:
            length = len(self._tokenizer.token_bytes(token))
            if not length or n_bytes + length > len(head):
                break
            n_kept, n_bytes = n_kept + 1, n_bytes + length
        self._keep(n_kept, head[n_bytes:])
        targets = [self._owed + name.encode() for name in names]
        self._names = NameChoice(self._tokenizer, targets, self._ends)

    def asides(self, n_most: int, least: float = 0.0) -> list[Writer]:
        """Return writers of other texts, which leave this one where they are likeliest.

        Each goes on with the second likeliest token of a place, if that spells something else. A
        text that is wrong is mostly wrong at one place, and right before it.

        Args:
            n_most: most texts.
            least: least probability of the token with which a text leaves this one, 0 to 1.

        Returns:
            Writers whose texts begin as this one's, to be written to their ends; likeliest first.
        """
        n_healed = self._n_chosen - len(self._log_probs)
        chosen = self.context[self._n_prompt + n_healed :]
        before = accumulate(self._log_probs, initial=0.0)
        places = [
            (sum_before + log_prob, n_healed + at, second)
            for at, (token, sum_before, (second, log_prob)) in enumerate(
                zip(chosen, before, self._seconds, strict=False)
            )
            if log_prob > -math.inf and math.exp(log_prob) >= least and self._differ(token, second)
        ]
        best = nlargest(n_most, places, key=itemgetter(0))
        return [self._leaving(n_kept, second) for _, n_kept, second in best]

    def _leaving(self, n_kept: int, token: int) -> Writer:
        """Return a writer that goes on with a token behind the first ones of this text."""
        other = copy(self)
        other.context, other._lengths = list(self.context), list(self._lengths)
        other._log_probs, other._seconds = list(self._log_probs), list(self._seconds)
        kept = self.context[self._n_prompt : self._n_prompt + n_kept]
        n_bytes = sum(len(self._tokenizer.token_bytes(each)) for each in kept)
        other._keep(n_kept, self._healed[n_bytes:])
        other._forced, other._names, other.began = token, None, 0.0
        return other

    def _differ(self, token: int, other: int) -> bool:
        """Whether two tokens begin different texts, and not one text in pieces of other lengths."""
        ours, theirs = (self._tokenizer.token_bytes(each).strip() for each in (token, other))
        if not ours or not theirs:
            return ours != theirs
        return not ours.startswith(theirs) and not theirs.startswith(ours)

    @property
    def _n_chosen(self) -> int:
        """Number of tokens that were chosen; one that is unsure is not taken."""
        return len(self.context) - self._n_prompt + self._is_unsure

    def _keep(self, n_tokens: int, owed: bytes) -> None:
        """Take back the text behind the first tokens, to write on with what is owed."""
        n_logged = max(0, n_tokens - (self._n_chosen - len(self._log_probs)))
        del self.context[self._n_prompt + n_tokens :]
        del self._log_probs[n_logged:], self._seconds[n_logged:], self._lengths[n_logged:]
        self._confidence = self._confidence if n_logged else None
        self._owed, self._is_unsure = owed, False
        self._decoder = IncrementalDecoder(self._tokenizer)
        self._text = "".join(map(self._decoder.push, self.context[self._n_prompt :]))
        self.n_tokens, self.stop_reason = n_tokens, "max_tokens"

    def end_before_line(self, offset: int) -> None:
        """End the suggestion before the line of an offset, whose name does not exist."""
        self._say(self.text[: self.text.rfind("\n", 0, max(offset, 0)) + 1].rstrip())
        self.stop_reason = "unknown_name"

    def expired(self, deadline: float) -> bool:
        """End the suggestion if the deadline has passed; return whether it has."""
        if time.perf_counter() < deadline:
            return False
        return self._finish(self._ending.unfinished(self.text), "deadline")

    def _say(self, text: str) -> None:
        """Replace the text of the suggestion."""
        self._text = self._text[: self._skip] + text
