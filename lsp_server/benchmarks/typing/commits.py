"""Typing sessions from the history of repositories.

A session is what one commit adds at one place of one source file. Commits are taken from the newest
one, but for merges; of each, one place at most, by a seeded choice; of each file, one session at
most.

The workspace of all sessions of a repository is the tree of the commit before the oldest of them,
so that it holds nothing of any of these commits. The document that is opened is the file as it was
directly before the session's own commit. So it may be newer than the same file on disk, and than
the files around it: as if they had been changed without being saved. Other commits between the two
are not on disk either.

Left out are places whose text stands elsewhere already, in the workspace or in the document, blanks
aside: moved, copied and reverted code is not typed.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from longllama_code.source_files.languages import language_of
from lsp_server.benchmarks.git.directories import Repository
from lsp_server.benchmarks.git.history import Commit, GitHistory, Hunk, ModifiedFile, opened
from lsp_server.benchmarks.git.trees import read_files
from lsp_server.benchmarks.typing.session import Replay, Session
from lsp_server.benchmarks.typing.written_files import is_source, is_written

MIN_CHARS, MAX_CHARS = 40, 160
MAX_COMMITS = 3000
MAX_FILES_OF_COMMIT = 40
"""A commit that touches more files was hardly typed."""
MAX_FILE_BYTES = 200_000
MAX_WRITTEN_BYTES = 1 << 20
"""Larger files are not in the workspace; the server's limit is below."""
MAX_REST_CHARS = 2000
ROUNDS = 4
"""Searches for sessions in place of those whose text stands elsewhere."""


@dataclass(frozen=True)
class Choice:
    """Which sessions are taken."""

    min_chars: int = MIN_CHARS
    max_chars: int = MAX_CHARS
    """Longer texts are cut, at a line's end if possible."""
    seed: int = 1
    max_commits: int = MAX_COMMITS
    """Number of commits that are examined."""
    languages: frozenset[str] | None = None
    """Identifiers of languages; None for all that are code."""

    def __post_init__(self) -> None:
        """Check the lengths.

        Raises:
            ValueError: there is no length between them.
        """
        if not 1 <= self.min_chars <= self.max_chars:
            raise ValueError(
                f"no text has {self.min_chars} to {self.max_chars} characters; give a minimum "
                "of at least 1, and a maximum that is not below it."
            )


def find_replays(
    repositories: Sequence[Repository],
    n: int,
    choice: Choice | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Replay]:
    """Return sessions spread evenly over repositories; those without any are left out.

    Args:
        repositories: the repositories.
        n: number of sessions; there are fewer if the histories do not have so many.
        choice: which sessions are taken.
        progress: called with a line for each repository.

    Raises:
        ValueError: a repository cannot be read, or is too large.
    """
    found: list[Replay] = []
    for number, repository in enumerate(repositories):
        quota = n // len(repositories) + (number < n % len(repositories))
        replay = find_replay(repository, quota, choice or Choice()) if quota else None
        progress(f"{repository.name}: {len(replay.sessions) if replay else 0} sessions")
        found += [replay] if replay else []
    return found


def find_replay(repository: Repository, n: int, choice: Choice) -> Replay | None:
    """Return at most so many sessions of a repository; None if there are none.

    Raises:
        ValueError: the repository cannot be read, or is too large.
    """
    taken, parents, base = list[Session](), dict[str, str](), ""
    with opened(repository.git_dir) as history:
        candidates = _candidates(repository, history, choice)
        for _ in range(ROUNDS):
            more = list(islice(candidates, n - len(taken)))
            if not more:
                break
            parents |= {session.commit: parent for session, parent in more}
            taken += [session for session, _ in more]
            base = parents[taken[-1].commit]
            files = read_files(history.repository, base, MAX_WRITTEN_BYTES)
            taken = _without_leaks(taken, files)
    # If the oldest one was left out, the workspace is older than needed.
    return Replay(repository, base, tuple(reversed(taken))) if taken else None


def leaks(sessions: Sequence[Session], files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Return which texts to type are in files already, blanks aside, in words for people."""
    wanted = [(session, _words(session.typed)) for session in sessions]
    found: list[str] = []
    for path, data in files:
        text = _words(data.decode("utf-8", "replace"))
        found += [f"the text of {each.id} is in {path}" for each, typed in wanted if typed in text]
    return found


def is_in_document(session: Session) -> bool:
    """Whether the text to type is in the opened document already, blanks aside."""
    typed = _words(session.typed)
    return any(typed in _words(text) for text in (session.before, session.after))


def _words(text: str) -> str:
    return " ".join(text.split())


def _without_leaks(
    sessions: Sequence[Session], files: Iterable[tuple[str, bytes]]
) -> list[Session]:
    """Return the sessions whose file is in the workspace, and whose text is not."""
    wanted = [(session, _words(session.typed)) for session in sessions]
    leaked, present = set[str](), set[str]()
    for path, data in files:
        present.add(path)
        text = _words(data.decode("utf-8", "replace"))
        leaked |= {session.id for session, typed in wanted if typed in text}
    return [each for each in sessions if each.file in present and each.id not in leaked]


def _candidates(
    repository: Repository, history: GitHistory, choice: Choice
) -> Iterator[tuple[Session, str]]:
    """Yield one session of each commit that has any, with the commit's parent."""
    used = set[str]()
    for commit in history.commits(choice.max_commits):
        rng = random.Random(f"{choice.seed} {commit.id}")
        files = [
            file
            for file in history.modified_files(commit, MAX_FILES_OF_COMMIT)
            if file.path not in used and is_source(file.path, choice.languages)
        ]
        rng.shuffle(files)
        for file in files:
            sessions = list(_sessions(repository, history, commit, file, choice))
            if sessions:
                used.add(file.path)
                yield rng.choice(sessions), commit.parent
                break


def _sessions(
    repository: Repository,
    history: GitHistory,
    commit: Commit,
    file: ModifiedFile,
    choice: Choice,
) -> Iterator[Session]:
    """Yield the places of a file where a commit adds text."""
    old, new = (history.text(blob, MAX_FILE_BYTES) for blob in (file.old_blob, file.new_blob))
    if not old or not new or not (is_written(old) and is_written(new)):
        return
    old_lines, new_lines = _lines(old), _lines(new)
    for hunk in history.hunks(commit, file.path):
        session = _session(old_lines, new_lines, hunk, choice)
        if session is not None:
            before, typed, rest, after = session
            found = Session(
                repository.name,
                file.path,
                before,
                typed,
                after,
                commit.id,
                commit.date,
                rest,
                language_of(file.path.rpartition("/")[2]) or "",
            )
            if not is_in_document(found):
                yield found


def _lines(text: str) -> list[str]:
    """Return the lines as git counts them, with their ends."""
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _session(
    old: Sequence[str], new: Sequence[str], hunk: Hunk, choice: Choice
) -> tuple[str, str, str, str] | None:
    """Return text before the cursor, to type, cut off, and after the cursor; None if too short.

    Blank lines and indentation before the first word, and blanks after the last one, are in the
    document already.
    """
    added = "".join(new[hunk.new_start : hunk.new_start + hunk.new_count])
    text = added.strip()
    typed = _cut(text, choice)
    if len(typed) < choice.min_chars:
        return None
    start = added.index(text)
    before = "".join(old[: hunk.old_start]) + added[:start]
    after = added[start + len(text) :] + "".join(old[hunk.old_start + hunk.old_count :])
    return before, typed, text[len(typed) :][:MAX_REST_CHARS], after


def _cut(text: str, choice: Choice) -> str:
    """Return the beginning of a text, up to a line's end if there is one within the lengths."""
    if len(text) <= choice.max_chars:
        return text
    start = text[: choice.max_chars + 1]
    lines = start.rpartition("\n")[0].rstrip()
    return lines if len(lines) >= choice.min_chars else start[: choice.max_chars].rstrip()
