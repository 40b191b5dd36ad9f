"""The column at which a suggestion begins a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.suggestions.indentation import without_stray_blanks

HEAD = "# A file.\nimport os\n\n"


@pytest.mark.parametrize(
    ("language", "before", "text", "wanted"),
    [
        ("python", "x = 1\n", "  y = 2", "y = 2"),
        ("python", "def f():\n    x = 1\n    ", "  y = 2", "y = 2"),
        ("python", "def f():\n    x = 1\n", "    y = 2", "    y = 2"),
        ("python", "def f():\n    x = 1\n", "  y = 2", "y = 2"),
        ("python", "def f():\n", "    y = 2", "    y = 2"),
        ("python", "x = f(\n", "    y", "    y"),
        ("python", "x = 1\n", "  if y:\n      z\n  w", "if y:\n    z\nw"),
        ("python", 'def f():\n    """Do.\n\n    a: one\n', '      more"""', '      more"""'),
        ("typescript", "foo\n", "  .bar()", "  .bar()"),
        ("typescript", "f() {\n  if (a) {\n    b();\n", " }", "}"),
        ("typescript", "f() {\n  if (a) {\n    b();\n", "  }", "  }"),
        ("go", "func f() {\n\tx := 1\n", "  y", "  y"),
        ("python", "x = ", "  y", "  y"),
        ("python", "x = 1\n", "  ", "  "),
        ("python", "x = 1\n", "  \n  y", "  \n  y"),
    ],
)
def test_columns(language: str, before: str, text: str, wanted: str) -> None:
    assert without_stray_blanks(text, HEAD + before, language) == wanted


def test_at_the_beginning_of_a_file_nothing_is_known() -> None:
    assert without_stray_blanks("  x", "", "python") == "  x"


texts = st.text(alphabet="ab :({\n ", max_size=20)


@given(texts, texts, st.sampled_from(["python", "typescript", ""]))
def test_blanks_alone_are_taken_and_once_is_enough(text: str, before: str, language: str) -> None:
    kept = without_stray_blanks(text, before, language)
    assert kept.replace(" ", "") == text.replace(" ", "")
    assert without_stray_blanks(kept, before, language) == kept
