"""Takes stray blanks off the beginning of a line that a suggestion begins."""

from lsp_server.documents.comments import kind_at_end

NEAR_CHARS = 4_000
"""Length of the text before the cursor that is looked at."""
_GOES_ON = tuple(":([{,\\=+-*/%&|^<>.@~")
"""What a line of Python ends with whose next line may be indented more."""


def without_stray_blanks(text: str, before: str, language: str) -> str:
    """Return a completion that begins a line at a column where a line of its block may begin.

    That is the column of a line above; in Python, not more than that of a line that is complete.
    In other languages a deeper line may belong to the one above, so it stays as it is.

    Args:
        text: the completion.
        before: text before the cursor.
        language: language identifier of LSP; empty if it is not known.
    """
    line, n_blanks = before[before.rfind("\n") + 1 :], len(text) - len(text.lstrip(" "))
    above = [each for each in before[-NEAR_CHARS:].split("\n")[1:-1] if each.strip()]
    is_begun = bool(line.strip(" ")) or text[n_blanks : n_blanks + 1] in ("", "\n", "\t")
    if not n_blanks or is_begun or not above or any(each[0] == "\t" for each in above):
        return text
    n_stray = min(n_blanks, len(line) + n_blanks - _column(len(line) + n_blanks, above, language))
    near = before[before.find("\n", max(0, len(before) - NEAR_CHARS)) + 1 :]
    if n_stray <= 0 or kind_at_end(near, language) != "code":
        return text
    first, *rest = text.split("\n")
    return "\n".join([first[n_stray:], *(_dedented(each, n_stray) for each in rest)])


def _column(wanted: int, above: list[str], language: str) -> int:
    """Return where a line may begin that is to begin at a column."""
    columns = {len(each) - len(each.lstrip(" ")) for each in above}
    last = above[-1]
    last_column = len(last) - len(last.lstrip(" "))
    if wanted > last_column:
        is_complete = language == "python" and not last.rstrip().endswith(_GOES_ON)
        return last_column if is_complete and not last.lstrip().startswith("#") else wanted
    return max((column for column in columns if column <= wanted), default=0)


def _dedented(line: str, n_blanks: int) -> str:
    """Return a line with so many blanks less at its beginning, or with none if it has fewer."""
    n_own = len(line) - len(line.lstrip(" "))
    return line[min(n_own, n_blanks) :]
