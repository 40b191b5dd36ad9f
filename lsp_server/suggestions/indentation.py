"""Takes stray blanks off the beginning of a line that a suggestion begins."""

from lsp_server.documents.comments import kind_at_end
from lsp_server.suggestions.brackets import PROSE

NEAR_CHARS = 4_000
"""Length of the text before the cursor that is looked at."""
_GOES_ON = tuple(":([{,\\=+-*/%&|^<>.@~")
"""What a line of Python ends with whose next line may be indented more."""
_SEMICOLONS = frozenset(
    {
        *("c", "cpp", "csharp", "java", "javascript", "javascriptreact", "typescript"),
        *("typescriptreact", "rust", "php", "dart", "css", "scss", "less"),
    }
)
"""Languages in which a line that ends with a semicolon or a closing brace is complete."""
_CONTINUES = tuple(".?:&|+-*/%=<,([{")
"""What a line begins with that may go on with the one above, whatever that ends with."""


def without_stray_blanks(text: str, before: str, language: str) -> str:
    """Return a completion that begins a line at a column where a line of its block may begin.

    That is the column of a line above, and not more than that of the last one if it is complete, as
    is known of some languages. In others a deeper line may belong to the one above, so it stays as
    it is. The first line of a file begins at its margin, save in prose.

    Args:
        text: the completion.
        before: text before the cursor.
        language: language identifier of LSP; empty if it is not known.
    """
    line, n_blanks = before[before.rfind("\n") + 1 :], len(text) - len(text.lstrip(" "))
    is_begun = bool(line.strip(" ")) or text[n_blanks : n_blanks + 1] in ("", "\n", "\t")
    if not n_blanks or is_begun:
        return text
    near = _near(before)
    above = [each for each in near.split("\n")[:-1] if each.strip()]
    is_margin = len(near) == len(before) and language not in ("", *PROSE)
    if any(each[0] == "\t" for each in above) or not (above or is_margin):
        return text
    wanted = len(line) + n_blanks
    n_stray = min(n_blanks, wanted - _column(wanted, above, text[n_blanks], language))
    if n_stray <= 0 or kind_at_end(near, language) != "code":
        return text
    first, *rest = text.split("\n")
    return "\n".join([first[n_stray:], *(_dedented(each, n_stray) for each in rest)])


def _near(before: str) -> str:
    """Return the lines before the cursor that are looked at, none of them cut."""
    if len(before) <= NEAR_CHARS:
        return before
    return before[before.find("\n", len(before) - NEAR_CHARS) + 1 :]


def _column(wanted: int, above: list[str], first: str, language: str) -> int:
    """Return where a line may begin that is to begin at a column, with a character."""
    if not above:
        return 0
    columns = {len(each) - len(each.lstrip(" ")) for each in above}
    last = above[-1]
    last_column = len(last) - len(last.lstrip(" "))
    if wanted > last_column:
        return last_column if _is_complete(last, first, language) else wanted
    return max((column for column in columns if column <= wanted), default=0)


def _is_complete(line: str, first: str, language: str) -> bool:
    """Whether no line belongs to a line that begins deeper below it, with a character."""
    if language == "python":
        return not line.rstrip().endswith(_GOES_ON) and not line.lstrip().startswith("#")
    ends = line.rstrip().endswith((";", "}"))
    return language in _SEMICOLONS and ends and not first.startswith(_CONTINUES)


def _dedented(line: str, n_blanks: int) -> str:
    """Return a line with so many blanks less at its beginning, or with none if it has fewer."""
    n_own = len(line) - len(line.lstrip(" "))
    return line[min(n_own, n_blanks) :]
