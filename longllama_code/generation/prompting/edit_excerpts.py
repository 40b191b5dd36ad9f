"""Recent edits, as excerpts of their files for prompts.

    FILE path⏎ -line before⏎ +line after⏎

They stand behind the definitions, nearest to the cursor's file. What the prompt shows of that file
itself is left out, so that what is typed at the cursor changes no excerpt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from longllama_code.definitions.cursor_text import LOCAL_CHARS_AFTER
from longllama_code.definitions.fitting import CountTokens
from longllama_code.generation.prompting.definition_excerpts import RepositoryDefinitions
from longllama_code.generation.prompting.excerpt_source import n_tokens_of
from longllama_code.generation.prompting.prepared_prompt import Excerpts, Key, Wanted, keys_of
from longllama_code.generation.prompting.prompt import MARKED_STEP_CHARS, Excerpt, anchor
from longllama_code.protocol import CompletionRequest, RecentEdit

MAX_EDIT_TOKENS = 200
"""Most tokens of all recent edits in a prompt, paths included."""
MAX_LINES = 8
"""Most lines of an edit that are shown, of those before and of those after it each."""
REASON = "edited a short while ago"


@dataclass(frozen=True)
class ShownEdit:
    """A recent edit that was chosen to be shown."""

    path: str
    shown: str
    """Its lines before and after it, each with its sign."""
    line: int
    last_line: int
    reason: str = REASON

    @property
    def name(self) -> str:
        """Its lines."""
        return f"lines {self.line}-{self.last_line}"

    @property
    def key(self) -> Key:
        """Its identity, wherever its lines are by now."""
        return self.path, "", self.shown


def is_edit(excerpt: Excerpt) -> bool:
    """Whether an excerpt shows recent edits."""
    return any(isinstance(one, ShownEdit) for one in excerpt.chosen)


def still_recent(excerpt: Excerpt, edits: Sequence[RecentEdit]) -> bool:
    """Whether the file of an excerpt of recent edits still has any."""
    return any(edit.path == excerpt.path for edit in edits)


def with_edits(
    wanted: Wanted, request: CompletionRequest, definitions: RepositoryDefinitions
) -> Wanted:
    """Return what a prompt should show, with recent edits of files in memory behind it."""
    known = (one for one in request.recent_edits if definitions.index.has(one.path))
    request = replace(request, recent_edits=tuple(known))
    excerpts = edit_excerpts(request, definitions.count)
    return replace(
        wanted,
        excerpts=(*wanted.excerpts, *excerpts),
        needed=wanted.needed | keys_of(excerpts),
    )


def edit_excerpts(request: CompletionRequest, count: CountTokens) -> Excerpts:
    """Return the newest edits that fit, one excerpt a file, the file edited last at the end."""
    chosen = list[ShownEdit]()
    n_left = MAX_EDIT_TOKENS
    for edit in _unseen(request):
        excerpt = _excerpt([edit])
        cost = n_tokens_of(excerpt, count)
        if cost > n_left:
            break
        n_left -= cost
        chosen.insert(0, edit)
    files = dict.fromkeys(one.path for one in reversed(chosen))
    return tuple(_excerpt([one for one in chosen if one.path == path]) for path in reversed(files))


def _unseen(request: CompletionRequest) -> Iterator[ShownEdit]:
    """Yield the edits that a prompt does not show anyway, the newest first."""
    start = anchor(request.prefix, MARKED_STEP_CHARS)
    visible = request.prefix[start:] + request.suffix[:LOCAL_CHARS_AFTER]
    for edit in reversed(request.recent_edits):
        if edit.path != request.path or edit.after not in visible:
            yield _shown(edit)


def _shown(edit: RecentEdit) -> ShownEdit:
    before, after = (text.split("\n") if text else [] for text in (edit.before, edit.after))
    lines = [*_signed("-", before), *_signed("+", after)]
    last_line = edit.line + max(len(after) - 1, 0)
    return ShownEdit(edit.path, "\n".join(lines), edit.line, last_line)


def _signed(sign: str, lines: Sequence[str]) -> Iterator[str]:
    return (sign + line for line in lines[:MAX_LINES])


def _excerpt(edits: Iterable[ShownEdit]) -> Excerpt:
    chosen = tuple(edits)
    return Excerpt(chosen[0].path, "\n".join(one.shown for one in chosen), chosen)
