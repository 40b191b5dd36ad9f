"""Tells whether a cursor is in a comment, with a small scanner for each family of languages.

The scanner knows comments and string literals, nothing else; a docstring is a string. A language
that is not listed has no comments.
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
    """Delimiters of comments and string literals in a family of languages."""

    line_comments: tuple[str, ...] = ()
    """Regular expressions that begin a comment up to the end of the line."""
    block_comments: tuple[tuple[str, str], ...] = ()
    """Beginning and end of comments that may span lines."""
    quotes: str = "\"'"
    """Quotes of strings that end with the line."""
    long_quotes: str = ""
    """Quotes of strings that may span lines."""
    raw_strings: tuple[str, ...] = ()
    """Regular expressions of other string literals and escapes, matched before all else."""


_C = _Syntax(("//",), (("/*", "*/"),))
_WORD_HASH = r"(?:(?<=\s)|(?<![\s\S]))\#"
"""A hash begins a comment only at the start of a word."""
_TRIPLE = tuple(rf"{quote * 3}[\s\S]*?(?:{quote * 3}|\Z)" for quote in "\"'")
_SHELL = _Syntax((_WORD_HASH,), long_quotes="\"'", quotes="", raw_strings=(r"\\.",))
_LISP = _Syntax((";",), (("#|", "|#"),), quotes="", long_quotes='"')
_XML = _Syntax((), (("<!--", "-->"),), quotes="")

_SYNTAX_OF = {
    "c cpp cuda-cpp objective-c objective-cpp java csharp d glsl jsonc proto solidity"
    " systemverilog verilog groovy jsonnet vala zig odin razor": _C,
    "javascript javascriptreact typescript typescriptreact": _Syntax(
        ("//",), (("/*", "*/"),), long_quotes="`"
    ),
    "go": _Syntax(("//",), (("/*", "*/"),), raw_strings=(r"`[^`]*`?",)),
    # A single quote of Rust may begin a lifetime, which has no closing quote.
    "rust": _Syntax(
        ("//",), (("/*", "*/"),), "", '"', (r'r(\#*)"[\s\S]*?(?:"\1|\Z)', r"'(?:\\.|[^'\\])'")
    ),
    "swift kotlin scala dart": _Syntax(("//",), (("/*", "*/"),), raw_strings=_TRIPLE[:1]),
    "css": _Syntax((), (("/*", "*/"),)),
    "scss less sass": _C,
    "python starlark bazel gdscript": _Syntax((r"\#",), raw_strings=_TRIPLE),
    "toml": _Syntax((r"\#",), raw_strings=_TRIPLE),
    "ruby crystal elixir coffeescript perl r": _Syntax((r"\#",), quotes="", long_quotes="\"'"),
    "nim": _Syntax((r"\#",), (("#[", "]#"),), raw_strings=_TRIPLE[:1]),
    "julia": _Syntax((r"\#",), (("#=", "=#"),), '"', raw_strings=_TRIPLE[:1]),
    "shellscript makefile dockerfile just meson ignore": _SHELL,
    "yaml": _Syntax((_WORD_HASH,)),
    "cmake": _Syntax((r"\#",), quotes="", long_quotes='"'),
    "terraform nix": _Syntax((r"\#", "//"), (("/*", "*/"),), '"'),
    "graphql": _Syntax((r"\#",), raw_strings=_TRIPLE[:1], quotes='"'),
    "php": _Syntax((r"\#", "//"), (("/*", "*/"),), quotes="", long_quotes="\"'"),
    "powershell": _Syntax((r"\#",), (("<#", "#>"),)),
    "lua": _Syntax(("--",), (("--[[", "]]"),), raw_strings=(r"\[\[[\s\S]*?(?:\]\]|\Z)",)),
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
    """Whether text that is added at the end of a text becomes part of a comment.

    Args:
        text: text before the cursor, from the beginning of the file.
        language: language identifier of LSP, such as `python`.
    """
    syntax = _SYNTAX.get(language)
    if syntax is None:
        return False
    last = next(iter(deque(_pattern(syntax).finditer(text), maxlen=1)), None)
    if last is None or last.end() != len(text):
        return False
    if last["line"] is not None:
        return True
    ends = {number: end for number, (_, end) in enumerate(syntax.block_comments)}
    return any(
        last[f"block{number}"] is not None and last[f"end{number}"] != end
        for number, end in ends.items()
    )


@cache
def _pattern(syntax: _Syntax) -> re.Pattern[str]:
    """Return a pattern that matches each string literal and comment of a text in turn."""
    return re.compile("|".join(_parts(syntax)), re.MULTILINE)


def _parts(syntax: _Syntax) -> Iterator[str]:
    """Return the alternatives of the pattern; at one offset, the first that matches wins."""
    for number, string in enumerate(syntax.raw_strings):
        # A back reference counts groups from the start: only the first alternative may have one.
        yield string if number == 0 else f"(?:{string})"
    for number, (begin, end) in enumerate(syntax.block_comments):
        closed = rf"[\s\S]*?(?P<end{number}>{re.escape(end)}|\Z)"
        yield rf"(?P<block{number}>{re.escape(begin)}{closed})"
    # `ends_in_comment` asks for the group in any language; `(?!)` never matches.
    yield rf"(?P<line>(?:{'|'.join(syntax.line_comments) or '(?!)'})[^\n]*)"
    yield from (_STRING.format(quote=quote) for quote in syntax.quotes)
    yield from (_LONG_STRING.format(quote=quote) for quote in syntax.long_quotes)
