"""Uses of functions that were renamed or got another signature in the same commit.

In commits of repositories, a function's head changes in one file, and a line of another file that
calls it. Asked for is the rest of that line: from the new name on where it was renamed, behind the
opening bracket where it was re-signed. All other files are as they were before the commit, but for
the one with the new head, whose text and definitions are in memory, as the server has them. The
conditions differ in what the prompt shows of the commit's edits so far:

    none   nothing
    diff   lines before and after, each with its sign
    text   lines after the edit alone

Answers are appended to FILE, one JSON object a line, and are not asked for again.

Usage: python tests/bench/recent_edits.py FOLDER_OF_GIT_DIRECTORIES [--instances 24]
[--output FILE.jsonl] [--conditions none,diff,text] [--list]
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from longllama_code.definitions.languages import language_of as reader_of
from longllama_code.engine_options import EngineOptions
from longllama_code.generation.engine import Engine
from longllama_code.generation.prompting import edit_excerpts
from longllama_code.protocol import CompletionRequest, RecentEdit
from longllama_code.research.evaluation.bootstrap import Share, interval
from longllama_code.source_files.languages import language_of
from lsp_server.benchmarks.git.directories import Repository, find_repositories
from lsp_server.benchmarks.git.history import Commit, GitHistory, Hunk, ModifiedFile, opened
from lsp_server.benchmarks.git.running import GitError
from lsp_server.benchmarks.git.trees import read_files
from lsp_server.benchmarks.infilling.scores import score
from lsp_server.benchmarks.typing.written_files import is_source, is_written

Row = dict[str, Any]
CONDITIONS = ("none", "diff", "text")
HEAD = re.compile(r"\b(?:def|func|function|fn)\s+(?:\([^)]*\)\s*)?(\w+)\s*[(<\[]")
LANGUAGES = frozenset(("python", "go", "rust", "typescript", "javascript", "typescriptreact"))
MAX_COMMITS, MAX_FILES, MAX_BYTES = 200, 8, 200_000
MAX_PATCH_LINES = 2000
OF_EACH = 2
"""Most instances of a repository."""
MAX_EDITS = 24
MEMORY_CHARS = 300_000
CHARS_BEFORE, CHARS_AFTER = 1500, 500
"""Characters of the file that are asked with; fewer than the server's, to be done in time."""
DEFINITION_TOKENS = 256
SEED = 0


@dataclass(frozen=True)
class Changed:
    """A function's head before and after a commit."""

    old: str
    new: str
    kind: str
    """``renamed`` or ``re-signed``."""


@dataclass(frozen=True)
class Instance:
    """A later use of a changed function."""

    repository: Repository
    commit: Commit
    head: str
    """File of the function."""
    file: str
    before: str
    wanted: str
    after: str
    name: str
    kind: str
    edits: tuple[RecentEdit, ...]
    head_text: str
    """Text of the function's file after the commit."""

    @property
    def id(self) -> str:
        line = self.before.count("\n") + 1
        return f"{self.repository.name} {self.commit.id[:10]} {self.file}:{line}"


@dataclass(frozen=True)
class Modified:
    """A file that a commit changed, by its lines."""

    path: str
    old: list[str]
    new: list[str]
    hunks: list[Hunk]

    def edits(self, n_hunks: int | None = None) -> Iterator[RecentEdit]:
        """Yield the first of its hunks as edits."""
        for hunk in self.hunks[:n_hunks]:
            old = self.old[hunk.old_start : hunk.old_start + hunk.old_count]
            new = self.new[hunk.new_start : hunk.new_start + hunk.new_count]
            yield RecentEdit(self.path, "\n".join(old), "\n".join(new), hunk.new_start + 1)


def modified(history: GitHistory, commit: Commit, file: ModifiedFile) -> Modified | None:
    """Return a changed file; None if nobody wrote it."""
    old, new = (history.text(blob, MAX_BYTES) for blob in (file.old_blob, file.new_blob))
    if not old or not new or not (is_written(old) and is_written(new)):
        return None
    return Modified(file.path, old.split("\n"), new.split("\n"), history.hunks(commit, file.path))


def changed_heads(file: Modified) -> Iterator[Changed]:
    """Yield the functions whose heads a commit changed."""
    defined = {name for line in file.new for name in HEAD.findall(line)}
    before = {name for line in file.old for name in HEAD.findall(line)}
    for hunk in file.hunks:
        old = _heads(file.old[hunk.old_start : hunk.old_start + hunk.old_count])
        new = _heads(file.new[hunk.new_start : hunk.new_start + hunk.new_count])
        if len(old) != 1 or len(new) != 1:
            continue
        ((was, was_line),), ((now, now_line),) = old.items(), new.items()
        if was == now and was_line.strip() != now_line.strip():
            yield Changed(was, now, "re-signed")
        elif was != now and was not in defined and now not in before:
            yield Changed(was, now, "renamed")


def _heads(lines: Sequence[str]) -> dict[str, str]:
    return {found[1]: line for line in lines if (found := HEAD.search(line)) is not None}


def instances(repository: Repository) -> Iterator[Instance]:
    """Yield at most one instance of each commit."""
    with opened(repository.git_dir) as history:
        for commit in history.commits(MAX_COMMITS):
            if not _changes_heads(history, commit):
                continue
            found = [
                file
                for file in history.modified_files(commit, MAX_FILES)
                if is_source(file.path, LANGUAGES) and reader_of(file.path) is not None
            ]
            if len(found) < 2:
                continue
            files = [one for each in found if (one := modified(history, commit, each))]
            yield from islice(_uses(repository, commit, files), 1)


def _changes_heads(history: GitHistory, commit: Commit) -> bool:
    """Whether a commit removes and adds heads of functions, told from its patch alone."""
    patch = history._output("diff-tree", "-p", "-U0", "--no-renames", commit.parent, commit.id)
    lines = patch.decode("utf-8", "replace").split("\n")
    removed, added = (
        any(HEAD.search(line) for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return removed and added and len(lines) < MAX_PATCH_LINES


def _uses(repository: Repository, commit: Commit, files: Sequence[Modified]) -> Iterator[Instance]:
    for head in files:
        for changed in changed_heads(head):
            for file in files:
                if file is not head:
                    yield from _uses_in(repository, commit, files, head, changed, file)


def _uses_in(
    repository: Repository,
    commit: Commit,
    files: Sequence[Modified],
    head: Modified,
    changed: Changed,
    file: Modified,
) -> Iterator[Instance]:
    call_of = re.compile(rf"\b{changed.new}\(")
    was_called = re.compile(rf"\b{changed.old}\(")
    for number, hunk in enumerate(file.hunks):
        old = file.old[hunk.old_start : hunk.old_start + hunk.old_count]
        new = file.new[hunk.new_start : hunk.new_start + hunk.new_count]
        if not any(map(was_called.search, old)):
            continue
        for at, line in enumerate(new):
            use = call_of.search(line)
            if use is None or HEAD.search(line):
                continue
            column = use.start() if changed.kind == "renamed" else use.end()
            wanted = line[column:]
            if len(wanted.strip()) < 3 or any(wanted in each for each in old):
                break
            before = "\n".join([*file.new[: hunk.new_start + at], line[:column]])
            after = "\n".join(["", *file.old[hunk.old_start + hunk.old_count :]])
            others = [one for one in files if one not in (head, file) and one.path < file.path]
            edits = [
                *head.edits(),
                *(edit for one in others for edit in one.edits()),
                *file.edits(number),
            ]
            yield Instance(
                repository,
                commit,
                head.path,
                file.path,
                before,
                wanted,
                after,
                changed.new,
                changed.kind,
                tuple(edits[-MAX_EDITS:]),
                "\n".join(head.new),
            )
            break


def choose(places: Path, n: int) -> Iterator[Instance]:
    """Yield instances, of each repository a few."""
    repositories = find_repositories([places])
    random.Random(SEED).shuffle(repositories)
    n_left = n
    for repository in repositories:
        try:
            for one in islice(instances(repository), min(OF_EACH, n_left)):
                n_left -= 1
                yield one
        except (GitError, ValueError) as error:
            print(f"{repository.name}: {error}", file=sys.stderr)
        if not n_left:
            return


def fill(engine: Engine, instance: Instance) -> None:
    """Have an engine remember a repository as it was, with the function's new head."""
    texts = dict[str, str]()
    with opened(instance.repository.git_dir) as history:
        for path, data in read_files(history.repository, instance.commit.parent, MAX_BYTES):
            if language_of(path.rpartition("/")[2]) in LANGUAGES and is_source(path):
                texts[path] = data.decode("utf-8", "replace")
    texts[instance.head] = instance.head_text
    texts.pop(instance.file, None)
    folder = instance.file.rpartition("/")[0]
    near = sorted(
        texts, key=lambda one: (one != instance.head, not one.startswith(folder), len(one), one)
    )
    n_chars = 0
    for _ in engine.define(texts):
        pass
    for path in near:
        n_chars += len(texts[path])
        if n_chars > MEMORY_CHARS and path != instance.head:
            break
        for _ in engine.remember(path, texts[path]):
            pass


def ask(engine: Engine, instance: Instance, condition: str) -> Row:
    """Return the answer to an instance under a condition."""
    start = max(0, len(instance.before) - CHARS_BEFORE)
    start = instance.before.find("\n", start - 1) + 1 if start else 0
    edits = instance.edits
    if condition == "none":
        edits = ()
    elif condition == "text":
        edits = tuple(RecentEdit(one.path, "", one.after, one.line) for one in edits if one.after)
    request = CompletionRequest(
        instance.file,
        instance.before[start:],
        instance.after[:CHARS_AFTER],
        max_tokens=40,
        multiline=False,
        timeout_ms=3_600_000,
        repository=instance.repository.short_name,
        definition_tokens=DEFINITION_TOKENS,
        recent_edits=edits,
    )
    readings = engine._completer._model.readings
    for reading in readings._readings.values():  # excerpts would stay as they are while one types
        reading.current.is_chosen = False
    signed = edit_excerpts._signed
    if condition == "text":
        edit_excerpts._signed = lambda sign, lines: iter(lines[: edit_excerpts.MAX_LINES])
    try:
        result = engine.complete(request, lambda: False)
    finally:
        edit_excerpts._signed = signed
    language = language_of(instance.file.rpartition("/")[2]) or ""
    return {
        "instance": instance.id,
        "kind": instance.kind,
        "name": instance.name,
        "condition": condition,
        "wanted": instance.wanted,
        "suggestion": result.text,
        "right_name": float(re.match(rf"{instance.name}\b", result.text) is not None),
        "confidence": result.confidence,
        "probability": result.probability,
        "prompt_tokens": result.timings.prompt_tokens,
        "read_tokens": result.timings.prompt_tokens - result.timings.reused_tokens,
        "shown_edits": sum(one.reason == edit_excerpts.REASON for one in result.definitions),
        "head_shown": any(one.name.endswith(instance.name) for one in result.definitions),
        "seconds": round((result.timings.prefill_ms + result.timings.decode_ms) / 1000, 1),
        **vars(score(result.text, instance.wanted, language)),
    }


def summary(rows: Sequence[Row], condition: str) -> Row:
    """Return shares of one condition, with intervals over instances."""
    found = [row for row in rows if row["condition"] == condition]
    renamed = [row for row in found if row["kind"] == "renamed"]
    if not found:
        return {"condition": condition, "instances": 0}
    right = interval([Share(row["right"], 1) for row in found], SEED)
    return {
        "condition": condition,
        "instances": len(found),
        "right": vars(right),
        "edit_similarity": round(sum(row["edit_similarity"] for row in found) / len(found), 3),
        "right_name": f"{sum(row['right_name'] for row in renamed):.0f} of {len(renamed)} renamed",
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", type=Path)
    parser.add_argument("--model", default="coder-0.5b")
    parser.add_argument("--instances", type=int, default=24)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--output", type=Path, default=Path("recent_edits.jsonl"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the instances alone")
    options = parser.parse_args()
    conditions = options.conditions.split(",")
    torch.set_num_threads(options.threads)
    chosen = choose(options.places, options.instances)
    if options.list:
        for one in chosen:
            print(one.kind, one.id, one.name, repr(one.wanted), len(one.edits), flush=True)
        return
    text = options.output.read_text("utf-8") if options.output.exists() else ""
    rows: list[Row] = [json.loads(line) for line in text.splitlines()]
    done = {(row["instance"], row["condition"]) for row in rows}
    engine = Engine.open(EngineOptions(options.model, persist=False, threads=options.threads))
    for one in chosen:
        asked = [each for each in conditions if (one.id, each) not in done]
        if not asked:
            continue
        repository = engine.fork()
        fill(repository, one)
        for condition in asked:
            rows.append(ask(repository, one, condition))
            with options.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
        repository.release()
        print(f"{len(rows)} answers, {one.id}", file=sys.stderr, flush=True)
    print(json.dumps([summary(rows, condition) for condition in conditions]))


if __name__ == "__main__":
    main()
