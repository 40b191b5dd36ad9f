"""Tells code, strings and comments apart, by the parsers of others.

Languages that the project reads definitions of have a grammar of tree-sitter. Pygments has a lexer
for most others. Neither is imported before a text has to be read.
"""

import logging
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, cast

logger = logging.getLogger(__name__)

Kind = Literal["code", "string", "comment"]
KindAt = Callable[[int], Kind]
"""Returns the kind of the character at an offset."""

_JAVASCRIPT = ("tree_sitter_javascript", "language")
_GRAMMARS = {
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "cuda-cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "javascript": _JAVASCRIPT,
    "javascriptreact": _JAVASCRIPT,
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "typescriptreact": ("tree_sitter_typescript", "language_tsx"),
    "python": ("tree_sitter_python", "language"),
    "starlark": ("tree_sitter_python", "language"),
    "bazel": ("tree_sitter_python", "language"),
    "rust": ("tree_sitter_rust", "language"),
}
"""Package and function of the grammar, by the language identifier of LSP."""
_ALIASES = {
    "apex": "java",
    "bibtex": "bibtex",
    "cuda-cpp": "cuda",
    "editorconfig": "ini",
    "go.mod": "go",
    "html": "html",
    "ignore": "bash",
    "jsonc": "javascript",
    "just": "bash",
    "kotlin": "scala",
    "markdown": "html",
    "objective-c": "objective-c",
    "objective-cpp": "objective-c++",
    "odin": "go",
    "prisma": "protobuf",
    "proto": "protobuf",
    "razor": "html",
    "shellscript": "bash",
    "svelte": "html",
    "vb": "vb.net",
    "viml": "vim",
    "vue": "html",
}
"""Names in Pygments of the languages that have another one in LSP."""
_parsing = threading.Lock()
"""Held while a parser of tree-sitter reads; it reads one text at a time."""
_WITHOUT_COMMENTS = frozenset({"", "plaintext", "json", "csv", "diff"})
_STRING_NODES = re.compile("string|regex|char_literal|character|rune_literal|jsx_text")
_CODE_NODES = frozenset({"interpolation", "template_substitution", "jsx_expression"})


def lexed(text: str, language: str) -> KindAt | None:
    """Read a text; None if there is no parser for its language, or if it cannot be read.

    Args:
        text: some lines, the first of which begins outside of strings and comments. Its line
            ends are line feeds.
        language: language identifier of LSP, such as `python`.
    """
    if language in _GRAMMARS:
        return _parsed(text, *_GRAMMARS[language])
    lexer = _lexer(language)
    if lexer is None:
        return None
    try:
        return _tokenized(text, lexer)
    except Exception as error:  # lexers promise nothing about broken texts
        logger.warning("%s was not read for comments: %s", language, type(error).__name__)
        return None


def has_parser(language: str) -> bool:
    """Whether texts in a language can be read."""
    return language in _GRAMMARS or _lexer(language) is not None


def _parsed(text: str, module: str, function: str) -> KindAt | None:
    from longllama_code.definitions.languages.grammars import parsed

    source = text.encode("utf-8", "replace")
    with _parsing:
        tree = parsed(source, module, function)
    if tree is None:
        return None

    def kind_at(offset: int) -> Kind:
        at = len(text[:offset].encode("utf-8", "replace"))
        node = tree.root_node.descendant_for_byte_range(at, at + 1)
        while node is not None and node.type not in _CODE_NODES:
            if "comment" in node.type:
                return "comment"
            if _STRING_NODES.search(node.type):
                return "string"
            node = node.parent
        return "code"

    return kind_at


def _tokenized(text: str, lexer: Any) -> KindAt:
    if lexer.name == "PHP":
        lexer.startinline = not text.lstrip().startswith("<")
    starts, kinds = list[int](), list[Kind]()
    for start, kind in _tokens(text, lexer):
        starts.append(start)
        kinds.append(kind)

    def kind_at(offset: int) -> Kind:
        at = bisect_right(starts, offset) - 1
        return kinds[at] if at >= 0 else "code"

    return kind_at


def _tokens(text: str, lexer: Any) -> Iterator[tuple[int, Kind]]:
    from pygments.token import Comment, String

    for start, type, value in lexer.get_tokens_unprocessed(text):
        if type in Comment.Preproc or type in Comment.PreprocFile:
            yield start, "code"
        elif type in Comment or (type in String.Doc and not _is_quoted(value)):
            yield start, "comment"
        elif type in String and type not in String.Interpol:
            yield start, "string"
        else:
            yield start, "code"


def _is_quoted(text: str) -> bool:
    """Whether a documentation text is a string literal; some languages have it in comments."""
    return text.lstrip()[:1] not in ("/", "*", "#", "-", ";", "%", "{", "(")


@cache
def _lexer(language: str) -> Any | None:
    if language in _WITHOUT_COMMENTS:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return cast(Any, get_lexer_by_name(_ALIASES.get(language, language)))
    except ClassNotFound:
        return None
