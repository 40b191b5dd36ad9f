"""Where a cursor stands in a comment; `¦` is the cursor."""

import pytest

from longllama_code.source_files.languages import _LANGUAGES
from lsp_server.documents.comments import _SYNTAX, _pattern, ends_in_comment

IN_COMMENT = [
    ("python", "x = 1  # so¦"),
    ("python", "#¦"),
    ("python", "'it\\'s' # so¦"),
    ("python", '"""a # b"""  # c¦'),
    ("c", "int x; /* a\n * b¦"),
    ("c", "x /* a */ y // b¦"),
    ("c", 'char *s = "a\n// b¦'),
    ("javascript", "`a\n${b}` // c¦"),
    ("rust", "fn f<'a>(x: &'a str) { // '¦"),
    ("rust", 'r#"a"b"# // c¦'),
    ("rust", "let c = '\"'; // x¦"),
    ("go", "s := `a\\` // b¦"),
    ("lua", "--[[ a\nb¦"),
    ("sql", "select 'it''s' -- x¦"),
    ("html", "<a> <!-- b\n¦"),
    ("shellscript", "echo a # b¦"),
    ("shellscript", 'echo "a\n# b" # c¦'),
    ("haskell", "f = {- a¦"),
    ("lisp", "(a) ; b¦"),
    ("viml", 'let x = "a"\n  " b¦'),
    ("yaml", "a: b # c¦"),
]
NOT_IN_COMMENT = [
    ("python", "x = 1\n¦"),
    ("python", "x = '# no¦"),
    ("python", '"""# no\n# no¦'),
    ("python", "# so\n¦"),
    ("c", "/* a */¦"),
    ("c", '"// no¦'),
    ("c", "a / b¦"),
    ("javascript", "`// no\n// no¦"),
    ("css", "a { b: url(//c)¦"),
    ("go", "`// no\n¦"),
    ("rust", 'r#"a" // no¦'),
    ("shellscript", "echo $#¦"),
    ("shellscript", 'echo "a\n# no¦'),
    ("yaml", "a: b#c¦"),
    ("html", "<!-- a -->¦"),
    ("lua", "a - b¦"),
    ("plaintext", "# x¦"),
    ("nobody knows", "# x¦"),
]


@pytest.mark.parametrize(("language", "text"), IN_COMMENT)
def test_in_a_comment(language, text):
    assert ends_in_comment(text.removesuffix("¦"), language)


@pytest.mark.parametrize(("language", "text"), NOT_IN_COMMENT)
def test_not_in_a_comment(language, text):
    assert not ends_in_comment(text.removesuffix("¦"), language)


def test_every_language_of_the_table_is_one_of_ours():
    assert _SYNTAX.keys() <= _LANGUAGES.keys()
    assert all(_pattern(syntax) for syntax in _SYNTAX.values())
