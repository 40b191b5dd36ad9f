"""An editor that closes brackets and quotes by itself, as VS Code, nvim-autopairs and Emacs do.

It knows nothing of the code under test.
"""

PAIRS = {"(": ")", "[": "]", "{": "}"}
QUOTES = "\"'`"
CLOSES_BEFORE = frozenset(";:.,=}])>`'\" \t")
"""Characters in front of which an opener is closed, as is one at the end of the line."""


class ClosingEditor:
    """One line that is typed from its left to its right, with what the editor adds behind."""

    def __init__(self, *, closes_characters: bool = True) -> None:
        self.before = ""
        self.behind = ""
        self.added: list[tuple[str, int]] = []
        """Closers behind the cursor that the editor added, the innermost last, and where the
        opener of each is."""
        self._closes_characters = closes_characters
        """Whether it closes apostrophes, too."""

    @property
    def line(self) -> str:
        """The line as it is."""
        return self.before + self.behind

    def type(self, text: str) -> None:
        """Type a text, key by key."""
        for char in text:
            self._key(char)

    def accept(self, text: str, n_replaced: int) -> None:
        """Insert a suggestion in place of characters behind the cursor."""
        assert n_replaced <= len(self.behind)
        removed, self.behind = self.behind[:n_replaced], self.behind[n_replaced:]
        self.added = self.added[: len(self.added) - len(removed)]
        self.before += text

    def _key(self, char: str) -> None:
        is_next = self.added[-1:] and self.added[-1][0] == char and self.behind[:1] == char
        if is_next and not (char in QUOTES and self._is_escaped()):
            self.added.pop()
            self.before, self.behind = self.before + char, self.behind[1:]
            return
        closer = self._closer_of(char)
        self.before += char
        if closer:
            self.behind = closer + self.behind
            self.added.append((closer, len(self.before) - 1))

    def _closer_of(self, char: str) -> str:
        """Return what the editor adds behind a key; empty: nothing."""
        if self.behind and self.behind[0] not in CLOSES_BEFORE:
            return ""
        if char in PAIRS:
            return PAIRS[char]
        is_quote = char in '"`' or (char == "'" and self._closes_characters)
        last = self.before[-1:]
        prefixed = self.before[-2:-1].isalnum() is False and last in "fFbBrRuU"
        is_behind_word = (last.isalnum() or last in ("_", "\\", char)) and not (
            last and last in "fFbBrRuU" and (len(self.before) == 1 or prefixed)
        )
        return char if is_quote and not is_behind_word and not self._is_in_string() else ""

    def _is_in_string(self) -> bool:
        """Whether a string is open at the cursor, in which no further one is begun."""
        quote, former = "", ""
        for char in self.before:
            if quote and char == quote and former != "\\":
                quote = ""
            elif not quote and char in QUOTES:
                is_quote = char != "'" or (self._closes_characters and not former.isalnum())
                quote = char if is_quote else ""
            former = char
        return bool(quote)

    def _is_escaped(self) -> bool:
        """Whether an odd number of backslashes stands before the cursor."""
        return (len(self.before) - len(self.before.rstrip("\\"))) % 2 == 1
