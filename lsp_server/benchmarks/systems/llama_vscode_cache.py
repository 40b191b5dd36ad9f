"""Suggestions that llama.vscode keeps, and the prompts that it asks for ahead.

Facts are from llama.vscode 0.0.63: ``src/lru-cache.ts``, and ``getCachedCompletion``,
``cacheFutureSuggestion`` and ``cacheFutureAcceptLineSuggestion`` of ``src/completion.ts``.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from lsp_server.benchmarks.systems.llama_vscode_prompt import Prompt, split_lines


class Suggestions:
    """Suggestions of the prompts that were used last.

    Args:
        capacity: most prompts.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, str] = OrderedDict()

    def __contains__(self, prompt: Prompt) -> bool:
        return self._exact(prompt) is not None

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, prompt: Prompt, text: str) -> None:
        """Keep the suggestion of a prompt; the prompt that was not used for longest goes."""
        self._kept[prompt.key] = text
        self._kept.move_to_end(prompt.key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def find(self, prompt: Prompt) -> str | None:
        """Return the suggestion of a prompt, or the rest of a shorter one's; None if unknown.

        A shorter prompt is one whose suggestion began with what was typed since.
        """
        exact = self._exact(prompt)
        if exact is not None:
            return exact
        for end in reversed(range(len(prompt.prompt))):
            text = self._exact(replace(prompt, prompt=prompt.prompt[:end]))
            typed = prompt.prompt[end:]
            if text and text.startswith(typed):
                return text[len(typed) :]
        return None

    def _exact(self, prompt: Prompt) -> str | None:
        text = self._kept.get(prompt.key)
        if text is not None:
            self._kept.move_to_end(prompt.key)
        return text


def prompt_after(prompt: Prompt, lines: Sequence[str], n_prefix: int) -> Prompt:
    """Return the prompt as it will be when the whole suggestion was accepted.

    Args:
        prompt: the prompt of the suggestion.
        lines: lines of the suggestion.
        n_prefix: most lines before the cursor's.
    """
    if len(lines) == 1:
        return replace(prompt, prompt=prompt.prompt + lines[0])
    before = prompt.prefix + prompt.prompt + "\n".join(lines[:-1])
    kept = split_lines(before)
    if len(kept) > n_prefix:
        before = "\n".join(kept[-n_prefix:])
    return replace(prompt, prefix=before + "\n", prompt=lines[-1])


def prompt_after_line(prompt: Prompt, lines: Sequence[str]) -> Prompt:
    """Return the prompt as it will be when the suggestion's first line was accepted."""
    return replace(prompt, prefix=f"{prompt.prefix}{prompt.prompt}{lines[0]}\n", prompt="")
