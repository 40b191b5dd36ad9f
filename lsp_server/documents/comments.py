"""Whether a cursor stands in a comment: a small scanner for each family of languages.

It knows comments and texts, and nothing else of a language; docstrings are texts. What it does not
know has no comments.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_STRING = r"{quote}(?:\\.|[^{quote}\\\n])*{quote}?"
_LONG_STRING = r"{quote}(?:\\.|[^{quote}\\])*{quote}?"


@dataclass(frozen=True)
class _Syntax:
    """What begins and ends comments and texts."""

    lines: tuple[str, ...] = ()
    """Regular expressions of what begins a comment up to the end of its line."""
    blocks: tuple[tuple[str, str], ...] = ()
    """Beginning and end of comments over several lines."""
    quotes: str = "\"'"
    """Quotes of texts that end with their line."""
    long_quotes: str = ""
    """Quotes of texts that go on over lines."""
    texts: tuple[str, ...] = ()
    """Regular expressions of other texts, which come first."""


_C = _Syntax(("//",), (("/*", "*/"),))
_WORD_HASH = r"(?:(?<=\s)|(?<![\s\S]))\#"
"""A hash in a word is none of a comment."""
_TRIPLE = tuple(rf"{quote * 3}[\s\S]*?(?:{quote * 3}|\Z)" for quote in "\"'")
_SHELL = _Syntax((_WORD_HASH,), long_quotes="\"'", quotes="", texts=(r"\\.",))
_LISP = _Syntax((";",), (("#|", "|#"),), quotes="", long_quotes='"')
_XML = _Syntax((), (("<!--", "-->"),), quotes="")

_SYNTAX_OF = {
    "c cpp cuda-cpp objective-c objective-cpp java csharp d glsl jsonc proto solidity"
    " systemverilog verilog groovy jsonnet vala zig odin razor": _C,
    "javascript javascriptreact typescript typescriptreact": _Syntax(
        ("//",), (("/*", "*/"),), long_quotes="`"
    ),
    "go": _Syntax(("//",), (("/*", "*/"),), texts=(r"`[^`]*`?",)),
    # A quote of Rust may begin a lifetime, which does not end.
    "rust": _Syntax(
        ("//",), (("/*", "*/"),), "", '"', (r'r(\#*)"[\s\S]*?(?:"\1|\Z)', r"'(?:\\.|[^'\\])'")
    ),
    "swift kotlin scala dart": _Syntax(("//",), (("/*", "*/"),), texts=_TRIPLE[:1]),
    "css": _Syntax((), (("/*", "*/"),)),
    "scss less sass": _C,
    "python starlark bazel gdscript": _Syntax((r"\#",), texts=_TRIPLE),
    "toml": _Syntax((r"\#",), texts=_TRIPLE),
    "ruby crystal elixir coffeescript perl r": _Syntax((r"\#",), quotes="", long_quotes="\"'"),
    "nim": _Syntax((r"\#",), (("#[", "]#"),), texts=_TRIPLE[:1]),
    "julia": _Syntax((r"\#",), (("#=", "=#"),), '"', texts=_TRIPLE[:1]),
    "shellscript makefile dockerfile just meson ignore": _SHELL,
    "yaml": _Syntax((_WORD_HASH,)),
    "cmake": _Syntax((r"\#",), quotes="", long_quotes='"'),
    "terraform nix": _Syntax((r"\#", "//"), (("/*", "*/"),), '"'),
    "graphql": _Syntax((r"\#",), texts=_TRIPLE[:1], quotes='"'),
    "php": _Syntax((r"\#", "//"), (("/*", "*/"),), quotes="", long_quotes="\"'"),
    "powershell": _Syntax((r"\#",), (("<#", "#>"),)),
    "lua": _Syntax(("--",), (("--[[", "]]"),), texts=(r"\[\[[\s\S]*?(?:\]\]|\Z)",)),
    "sql ada vhdl": _Syntax(("--",), (("/*", "*/"),), quotes="", long_quotes="\"'"),
    "haskell elm": _Syntax(("--",), (("{-", "-}"),), '"'),
    "ocaml fsharp pascal": _Syntax(("//",), (("(*", "*)"),), '"'),
    "lisp scheme racket clojure": _LISP,
    "ini properties editorconfig": _Syntax((rf"(?:{_WORD_HASH}|^;)",), quotes=""),
    "erlang latex bibtex": _Syntax((r"(?<!\\)%",), quotes=""),
    "fortran": _Syntax(("!",)),
    "viml": _Syntax((r'^\s*"',), quotes=""),
    "html xml markdown vue svelte": _XML,
}
_SYNTAX = {name: syntax for names, syntax in _SYNTAX_OF.items() for name in names.split()}


def ends_in_comment(text: str, language: str) -> bool:
    """Whether what is written behind a text becomes part of a comment.

    Args:
        text: all that stands before the cursor, from the beginning of the file.
        language: its identifier in LSP.
    """
    syntax = _SYNTAX.get(language)
    if syntax is None:
        return False
    last = next(iter(deque(_pattern(syntax).finditer(text), maxlen=1)), None)
    if last is None or last.end() != len(text):
        return False
    if last["line"] is not None:
        return True
    ends = {number: end for number, (_, end) in enumerate(syntax.blocks)}
    return any(
        last[f"block{number}"] is not None and last[f"end{number}"] != end
        for number, end in ends.items()
    )


@cache
def _pattern(syntax: _Syntax) -> re.Pattern[str]:
    """The first of these at each place: long texts, comments, texts."""
    return re.compile("|".join(_parts(syntax)), re.MULTILINE)


def _parts(syntax: _Syntax) -> Iterator[str]:
    for number, text in enumerate(syntax.texts):
        # A group that a text refers to keeps its number only if nothing stands before it.
        yield text if number == 0 else f"(?:{text})"
    for number, (begin, end) in enumerate(syntax.blocks):
        closed = rf"[\s\S]*?(?P<end{number}>{re.escape(end)}|\Z)"
        yield rf"(?P<block{number}>{re.escape(begin)}{closed})"
    # A language without any still needs the group.
    yield rf"(?P<line>(?:{'|'.join(syntax.lines) or '(?!)'})[^\n]*)"
    yield from (_STRING.format(quote=quote) for quote in syntax.quotes)
    yield from (_LONG_STRING.format(quote=quote) for quote in syntax.long_quotes)
