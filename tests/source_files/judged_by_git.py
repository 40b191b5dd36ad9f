"""Patterns and paths of difficult kinds, and what `git check-ignore` says of them."""

import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from longllama_code.source_files.patterns import Patterns

PATTERN_PARTS = [
    *(
        b"a",
        b"b",
        b"ab",
        b"A",
        b"Z",
        b"1",
        b".",
        b".py",
        b"-",
        b" ",
        b"#",
        b"!",
        b"\t",
        b"\r",
        b"\v",
    ),
    *(b"*", b"*", b"**", b"***", b"?", b"/", b"/", b"/", b"**/", b"/**", b"/**/", b"\\", b"\\/"),
    *(b"\\*", b"\\ ", b"\\A", b"[", b"]", b"[a", b"[ab]", b"[!a]", b"[^b]", b"[a-c]", b"[]a]"),
    *(b"[/]", b"[a/]", b"[A-Z]", b"[A]", b"[\\]]", b"[a-\\c]", b"[--z]", b"[!-~]", b"[z-a]"),
    *(b"[[:alpha:]]", b"[[:foo:]]", b"[[:upper:]]", b"[[:digit:]a]", b"[[:space:]]", b"[[:a]"),
    *(b"[[:punct:]]", b"[![:cntrl:]]", b"[[:]", b"[:alpha:]", b"\xc3\xa9", b"\xa9", b"\xff"),
]
NAME_PARTS = [
    *(b"a", b"b", b"ab", b"c", b"A", b"Z", b"z", b"1", b".", b".py", b"-", b" ", b"#", b"!", b"\t"),
    *(b"/", b"/", b"/", b"/", b"[", b"]", b"\\", b"*", b"\xc3\xa9", b"\v", b"\xff", b"~"),
]


def git(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run git without the rules of the user who runs the tests."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {"HOME": str(root), "XDG_CONFIG_HOME": str(root / ".git")}
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=environment, input=given, capture_output=True
    )
    if done.returncode > 1:
        raise RuntimeError(done.stderr.decode())
    return done.stdout


def some_rules(chance: random.Random) -> bytes:
    """Return the text of a rules file, mostly of one line."""
    lines = (
        b"".join(chance.choices(PATTERN_PARTS, k=chance.randint(1, 6)))
        for _ in range(chance.choice((1, 1, 1, 3)))
    )
    return b"\n".join(lines)


def some_path(chance: random.Random) -> bytes:
    """Return a relative path that a file may have."""
    parts = b"".join(chance.choices(NAME_PARTS, k=chance.randint(1, 6))).split(b"/")
    kept = [part for part in parts if part and part not in (b".", b"..")]
    return b"/".join(kept) or b"a"


def named_by_git(root: Path, rules: Sequence[bytes], paths: Sequence[bytes]) -> set[bytes]:
    """Return which of the paths each rules file ignores, as `number/path`."""
    for number, text in enumerate(rules):
        folder = root / str(number)
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_bytes(text)
    given = b"".join(b"%d/%s\0" % (i, path) for i in range(len(rules)) for path in paths)
    found = git(root, "check-ignore", "--no-index", "--stdin", "-z", given=given)
    return set(found.split(b"\0")) - {b""}


def ignored_by(patterns: Patterns, path: bytes) -> bool:
    """Whether a file, or a folder above it, is ignored."""
    ends = [i for i in range(len(path)) if path[i : i + 1] == b"/"]
    above = any(patterns.verdict(path[:end], is_dir=True) for end in ends)
    return above or patterns.verdict(path, is_dir=False) is True
