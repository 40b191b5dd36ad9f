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
        ("typescript", "const a = 1;\n", "  const b = 2;", "const b = 2;"),
        ("typescript", "f() {\n  a();\n", "    b();\n  }", "  b();\n}"),
        ("typescript", "f() {\n}\n", "  g();", "g();"),
        ("typescript", "f(() => 1)\n", "  g();", "  g();"),
        ("rust", "    let x = unsafe { y }\n", "        .z();", "        .z();"),
        ("yaml", "a: b;\n", "  c: d", "  c: d"),
        ("go", "func f() {\n\tx := 1\n", "  y", "  y"),
        ("python", "x = ", "  y", "  y"),
        ("python", "x = 1\n", "  ", "  "),
        ("python", "x = 1\n", "  \n  y", "  \n  y"),
    ],
)
def test_columns(language: str, before: str, text: str, wanted: str) -> None:
    assert without_stray_blanks(text, HEAD + before, language) == wanted


@pytest.mark.parametrize(
    ("language", "before", "text", "wanted"),
    [
        ("python", "", "  x", "x"),
        ("typescript", "\n\n", "  x", "x"),
        ("markdown", "", "    x", "    x"),
        ("", "", "  x", "  x"),
        ("python", "x = 1\n", "  y = 2", "y = 2"),
        ("python", "def f():\n", "    y = 2", "    y = 2"),
        ("python", '"""Do.\nthis\n', "  or that", "  or that"),
        ("python", " \n" * 4_000, "  x", "  x"),  # what stands before them is not looked at
    ],
)
def test_the_first_lines_of_a_file(language: str, before: str, text: str, wanted: str) -> None:
    assert without_stray_blanks(text, before, language) == wanted


texts = st.text(alphabet="ab :({\n ", max_size=20)


@given(texts, texts, st.sampled_from(["python", "typescript", ""]))
def test_blanks_alone_are_taken_and_once_is_enough(text: str, before: str, language: str) -> None:
    kept = without_stray_blanks(text, before, language)
    assert kept.replace(" ", "") == text.replace(" ", "")
    assert without_stray_blanks(kept, before, language) == kept
