"""Brackets, quotes, tags and words such as `end` that are open, and what in a text closes them.

A text is read once, from its start to its end, with little knowledge of its language: enough for
a line that is being written, which no parser takes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

_QUOTES = "\"'`"
PAIRS = {"(": ")", "[": "]", "{": "}"}
MARKUP = frozenset(
    {"javascriptreact", "typescriptreact", "javascript", "html", "vue", "svelte", "xml", "razor"}
)
"""Languages with tags in their code; JavaScript may have them in any file."""
# Languages by what begins a comment to the line's end; in all others `//` does.
_HASH = frozenset(
    {
        *("python", "starlark", "bazel", "ruby", "shellscript", "perl", "yaml", "toml", "r"),
        *("julia", "elixir", "crystal", "dockerfile", "makefile", "coffeescript", "nix"),
        *("powershell", "cmake", "nim", "gdscript"),
    }
)
_DASH = frozenset({"lua", "sql", "haskell", "elm", "ada", "vhdl"})
_CHARACTERS = frozenset(
    {
        *("c", "cpp", "cuda-cpp", "csharp", "go", "java", "kotlin", "objective-c", "rust"),
        *("scala", "swift", "zig", "clojure", "lisp", "scheme", "emacs-lisp"),
        *("markdown", "plaintext", "html", "xml", "latex"),
    }
)
"""Languages in which an apostrophe is around one character, or is none of code."""
# Letters before a string in Python, Rust or C++, by whether it has code in braces.
_FORMATTED = re.compile(r"(?i)(?<!\w)(?:f|fr|rf|t|tr|rt)$")
_PREFIX = re.compile(r"(?i)(?<!\w)(?:[rbfut]|br|rb|fr|rf|tr|rt)$")
_CHARACTER = re.compile(r"'(?:\\[^'\n]+|[^'\\\n])'")
_REGEX = re.compile(r"/(?![*/\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/")
_BEFORE_REGEX = re.compile(r"(?:[(,=:\[!&|?{};~]|\breturn|=>|^)\s*$")
_WORD = re.compile(r"\w+")
_NAME = r"[A-Za-z_][\w.:-]*"
_TAG = re.compile(
    rf"<(?P<end>/?)(?P<name>(?:{_NAME})?)"
    r"(?:\s(?:[^<>{}\"'/]|/(?!>)|\"[^\"]*\"|'[^']*'|=>|\{(?:[^{}]|\{[^{}]*\})*\})*)?(?P<empty>/?)>"
)
_BEGUN_TAG = re.compile(r"</?[\w.:-]*\Z")
_WORDS = {
    "end": re.compile(
        r"\b(?P<open>function|if|do|begin|def|class|module|case|unless|for|while|until|struct|try"
        r"|quote|macro|let)\b|\b(?P<close>end)\b"
    ),
    "fi": re.compile(r"\b(?P<open>if)\b|\b(?P<close>fi)\b"),
    "done": re.compile(r"\b(?P<open>do)\b|\b(?P<close>done)\b"),
    "esac": re.compile(r"\b(?P<open>case)\b|\b(?P<close>esac)\b"),
}
WORDS = frozenset(_WORDS)
"""Words that close a block."""
_LOOK_BACK = 40
"""Characters before an offset that say what begins there."""
_LOOPS = ("for", "while", "until")
"""Words whose `do` opens nothing more."""

Kind = Literal["bracket", "string", "comment", "tag", "angle", "word"]


@dataclass(frozen=True)
class Delimiter:
    """A delimiter that is open."""

    closer: str
    """What closes it."""
    kind: Kind = "bracket"
    is_in_text: bool = False
    """Whether it is a bracket in a string or a comment, which nothing need close."""
    interpolation: str = ""
    """What begins code in a string; empty: nothing."""
    has_escapes: bool = True
    ends_with_line: bool = False
    is_character: bool = False
    """Whether it is an apostrophe at the end of a text, behind which a character may come."""
    start: int = 0
    """Offset in the text that opened it."""

    @property
    def added(self) -> str:
        """What an editor adds by itself, which knows no raw strings."""
        return '"' if self.closer.startswith('"#') else self.closer


@dataclass(frozen=True)
class Closing:
    """What closes a delimiter that was open before the text."""

    start: int
    """Offset in the text."""
    end: int
    delimiter: Delimiter


class DelimiterReader:
    """Reads texts, one behind the other, and knows which delimiters are open behind them.

    Args:
        language: language identifier of LSP; empty if it is not known.
        opened: delimiters that are open, the innermost last.
    """

    def __init__(self, language: str, opened: Sequence[Delimiter] = ()) -> None:
        self.opened = list(opened)
        self.mismatch: int | None = None
        """Offset in the last text of a closer of something else than the innermost delimiter."""
        self._language = language
        self._depth = 0
        """Number of delimiters that have been open since before the text."""
        self._n_begun = 0
        """Characters of the text before that begin a tag, which the next text may end."""
        self._former = ""
        """End of the text before."""
        self._n_ahead = 0
        """Characters of the next text that were read with this one, as they are escaped."""

    @property
    def own_start(self) -> int | None:
        """Offset of the first bracket that the last text opened and did not close; None: of none.

        Strings count, too; what is in a comment does not.
        """
        own = (each for each in self.opened[self._depth :] if not each.is_in_text)
        return next((each.start for each in own if each.kind != "comment"), None)

    def read(self, text: str) -> Iterator[Closing]:
        """Read a text; yield what closes delimiters that were open before it."""
        self._depth, self.mismatch = len(self.opened), None
        n_former = len(self._former)
        text = self._former + text
        at = max(0, n_former + self._n_ahead - self._n_begun)
        self._n_begun = 0
        while at < len(text) and self.mismatch is None:
            start, opened = at, list(self.opened)
            at = self._step(text, at)
            if len(self.opened) < self._depth:
                self._depth = len(self.opened)
                if text[start] != "\n":  # else a string ended that nothing closes
                    start = max(0, start - n_former)
                    yield Closing(start, at - n_former, opened[self._depth])
            elif len(self.opened) > len(opened):
                self.opened[-1] = replace(self.opened[-1], start=start - n_former)
        if self.mismatch is not None:
            self.mismatch -= n_former
        self._n_ahead = max(0, at - len(text))
        self._former = text[-_LOOK_BACK:]

    def _context(self) -> Delimiter | None:
        """Return the delimiter that decides how text is read; None in code."""
        for each in reversed(self.opened):
            if not each.is_in_text:
                return each
        return None

    def _step(self, text: str, at: int) -> int:
        """Read what begins at an offset; return the offset behind it."""
        context = self._context()
        if context is None or context.kind in ("bracket", "angle", "word"):
            return self._step_in_code(text, at)
        if context.kind == "tag":
            return self._step_in_markup(text, at, context)
        return self._step_in_text(text, at, context)

    # Strings and comments.

    def _step_in_text(self, text: str, at: int, context: Delimiter) -> int:
        if text[at] == "\n" and context.ends_with_line:
            self._pop_text(context)
            return at + 1
        if text[at] == "\\" and context.has_escapes:
            return at + 2
        if context.closer and text.startswith(context.closer, at):
            self._pop_text(context)
            return at + len(context.closer)
        start = context.interpolation
        if start and text.startswith(start, at):
            if start == "{" and text.startswith("{{", at):
                return at + 2
            self.opened.append(Delimiter("}"))
            return at + len(start)
        is_quote = text[at] in _QUOTES and not text[at - 1 : at].isalnum()
        if not self._step_at_bracket_in_text(text[at]) and is_quote:
            self.opened.append(Delimiter(text[at], is_in_text=True))
        return at + 1

    def _step_at_bracket_in_text(self, char: str) -> bool:
        """Open or close a bracket in a string or a comment; return whether it is a bracket."""
        if self._close_in_text(char):
            return True
        if char in PAIRS:
            self.opened.append(Delimiter(PAIRS[char], is_in_text=True))
        return char in PAIRS

    def _close_in_text(self, closer: str) -> bool:
        """Close a bracket in a string or a comment, if it is open; return whether it was."""
        for index in range(len(self.opened) - 1, -1, -1):
            if not self.opened[index].is_in_text:
                return False
            if self.opened[index].closer == closer:
                del self.opened[index:]
                return True
        return False

    def _pop_text(self, context: Delimiter) -> None:
        """End a string, a comment or a tag, and the brackets in it."""
        while self.opened.pop() is not context:
            pass

    # Markup.

    def _step_in_markup(self, text: str, at: int, context: Delimiter) -> int:
        if text[at] == "{":
            self.opened.append(Delimiter("}"))
            return at + 1
        tag = _TAG.match(text, at) if text[at] == "<" else None
        if tag is None and _BEGUN_TAG.match(text, at):
            self._n_begun = len(text) - at
            return len(text)
        if tag is None:
            self._step_at_bracket_in_text(text[at])
            return at + 1
        if tag["end"]:
            self._end_tag(tag, context)
        elif not tag["empty"]:
            self.opened.append(Delimiter(f"</{tag['name']}>", "tag"))
        return tag.end()

    def _end_tag(self, tag: "re.Match[str]", context: Delimiter) -> None:
        if context.closer == tag[0]:
            self._pop_text(context)
        else:
            self.mismatch = tag.start()

    # Code.

    def _step_in_code(self, text: str, at: int) -> int:
        char = text[at]
        if char in _QUOTES:
            return self._step_at_quote(text, at)
        if char in PAIRS:
            self.opened.append(Delimiter(PAIRS[char]))
        elif char in ")]}":
            self._close(char, at)
        elif comment := self._comment(text, at):
            self.opened.append(comment)
        elif char == "/" and (regex := self._regex(text, at)):
            return regex.end()
        elif char in "<>":
            return self._step_at_angle(text, at)
        elif char.isalpha() and not text[at - 1 : at].isalnum():
            return self._step_at_word(text, at)
        return at + 1

    def _close(self, closer: str, at: int) -> None:
        """Close the innermost delimiter, or note that another is open; if none is, pass over."""
        if not self.opened:
            return
        innermost = self.opened[-1]
        if innermost.closer == closer:
            self.opened.pop()
        else:
            self.mismatch = at

    def _comment(self, text: str, at: int) -> Delimiter | None:
        language = self._language
        line = Delimiter("", "comment", has_escapes=False, ends_with_line=True)
        if language in _HASH or not language:
            is_apart = at == 0 or text[at - 1].isspace()
            if text[at] == "#" and (is_apart or language in ("python", "yaml")):
                return line
        if language in _DASH:
            return line if text.startswith("--", at) else None
        if language in _HASH:
            return None
        if text.startswith("//", at):
            return line
        return Delimiter("*/", "comment", has_escapes=False) if text.startswith("/*", at) else None

    def _regex(self, text: str, at: int) -> "re.Match[str] | None":
        is_likely = "script" in self._language or self._language in ("vue", "svelte", "ruby")
        if is_likely and _BEFORE_REGEX.search(text, max(0, at - _LOOK_BACK), at):
            return _REGEX.match(text, at)
        return None

    def _step_at_quote(self, text: str, at: int) -> int:
        quote, before = text[at], text[max(0, at - 3) : at]
        if quote == "'" and self._language in _CHARACTERS:
            return self._step_at_character(text, at)
        if quote == "'" and re.search(r"[\w)\]]$", before) and not _PREFIX.search(before):
            return at + 1  # an apostrophe
        if text.startswith(quote * 3, at) and quote != "`":
            self.opened.append(self._string(quote * 3, before))
            return at + 3
        if self._language == "rust" and (raw := re.search(r"\br(#*)$", text[max(0, at - 9) : at])):
            self.opened.append(Delimiter(f'"{raw[1]}', "string", has_escapes=False))
            return at + 1
        self.opened.append(self._string(quote, before))
        return at + 1

    def _string(self, quotes: str, before: str) -> Delimiter:
        """Return a string that quotes open, before which a prefix such as `f` may stand."""
        interpolation = "#{" if self._language in ("ruby", "elixir", "crystal") else "${"
        if self._language in _HASH & {"python", "starlark", "bazel"}:
            interpolation = "{" if _FORMATTED.search(before) else ""
        elif quotes == "'" or self._language in ("c", "cpp", "go", "java", "rust"):
            interpolation = ""
        elif self._language == "csharp":
            interpolation = "{" if before.endswith(("$", "$@", "@$")) else ""
        is_raw = quotes == "`" and self._language == "go"
        return Delimiter(
            quotes,
            "string",
            interpolation=interpolation,
            has_escapes=not is_raw,
            ends_with_line=quotes in ("'", '"') and self._language not in ("shellscript", "ruby"),
        )

    def _step_at_character(self, text: str, at: int) -> int:
        if literal := _CHARACTER.match(text, at):
            return literal.end()
        if at + 1 == len(text) and not text[at - 1 : at].isalnum():
            self.opened.append(Delimiter("'", "string", ends_with_line=True, is_character=True))
        return at + 1

    def _step_at_angle(self, text: str, at: int) -> int:
        """Read `<` or `>`, which are brackets between those that are known to be."""
        innermost = self.opened[-1] if self.opened else None
        if innermost is not None and innermost.kind == "angle":
            if text[at] == "<":
                self.opened.append(innermost)
            elif text[at - 1 : at] not in ("-", "="):
                self.opened.pop()
            return at + 1
        if text[at] == "<" and self._begins_markup(text, at):
            return self._step_in_markup_tag(text, at)
        return at + 1

    def _begins_markup(self, text: str, at: int) -> bool:
        if self._language not in MARKUP:
            return False
        before = text[max(0, at - _LOOK_BACK) : at]
        return self._language in ("html", "xml", "vue", "svelte") or bool(
            re.search(r"(?:[(,=:\[?&|{};>]|\breturn|^)\s*$", before)
        )

    def _step_in_markup_tag(self, text: str, at: int) -> int:
        tag = _TAG.match(text, at)
        if tag is None or tag["end"]:
            return at + 1
        if not tag["empty"]:
            self.opened.append(Delimiter(f"</{tag['name']}>", "tag"))
        return tag.end()

    def _step_at_word(self, text: str, at: int) -> int:
        """Read a word, which may open or close a block where such a word is to come."""
        innermost = self.opened[-1] if self.opened else None
        found = _WORD.match(text, at)
        assert found is not None
        if innermost is None or innermost.kind != "word":
            return found.end()
        word = _WORDS[innermost.closer].fullmatch(found[0])
        if word is not None and word["close"]:
            self.opened.pop()
        elif word is not None and self._opens_block(text, found):
            self.opened.append(innermost)
        return found.end()

    def _opens_block(self, text: str, word: "re.Match[str]") -> bool:
        line = text[text.rfind("\n", 0, word.start()) + 1 : word.start()]
        if word[0] == "do":
            return not any(re.search(rf"\b{loop}\b", line) for loop in _LOOPS)
        if self._language in ("ruby", "crystal") and word[0] in ("if", "unless", "while", "until"):
            return not line.strip() or line.rstrip().endswith(("=", ";", "(", "then", "else"))
        return True
