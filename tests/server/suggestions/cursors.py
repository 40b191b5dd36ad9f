"""Cursors for tests of suggestions."""

from lsp_server.suggestions.cursor_context import CursorContext


def cursor(
    marked: str,
    *,
    automatic: bool = False,
    language: str = "python",
    path: str = "a.py",
    uri: str = "untitled:a",
) -> CursorContext:
    """A cursor at the bar of a text, or at its end."""
    before, _, after = marked.partition("|")
    return CursorContext(
        uri=uri,
        language=language,
        version=1,
        before=before,
        after=after,
        is_automatic=automatic,
        path=path,
    )
