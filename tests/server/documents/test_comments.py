"""Where a cursor stands in a comment; `¦` is the cursor."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longllama_code.source_files.languages import _LANGUAGES
from lsp_server.documents import comments, lexing
from lsp_server.documents.comments import ends_in_comment

IN_COMMENT = [
    ("python", "x = 1  # so¦"),
    ("python", "#¦"),
    ("python", "'it\\'s' # so¦"),
    ("python", '"""a # b"""  # c¦'),
    ("python", "x = f'{a}'  # '¦"),
    ("python", 'def f():\n    """Return."""\n    # don\'t¦'),
    ("python", "x = [\n    1,  # one¦"),
    ("python", "s = 'a' 'b'  # it's \"\"\"¦"),
    ("python", "if x:  # a\r\n    # b¦"),
    ("c", "int x; /* a\n * b¦"),
    ("c", "x /* a */ y // b¦"),
    ("c", 'char *s = "a\n// b¦'),
    ("c", "#include <a.h> /* b¦"),
    ("c", "char c = '\"'; /* it's¦"),
    ("cpp", 'auto s = R"(a)b)"; // c¦'),
    ("cpp", 'auto s = R"x(a)"b)x"; /* c¦'),
    ("java", "/** Returns {@code a}.\n * b¦"),
    ("java", 'String s = """\n  // a\n  """; // b¦'),
    ("javascript", "`a\n${b}` // c¦"),
    ("javascript", "x = a / b // c¦"),
    ("javascript", "x = /[/]'/.test(a) // c¦"),
    ("javascript", "x = `${a /* b¦"),
    ("javascript", "x = `${`a`}` /* `${¦"),
    ("javascriptreact", "x = <p>{/* a¦"),
    ("typescript", "let x: Map<string, number> // a¦"),
    ("typescriptreact", "return <a href='//b'>{c /* d¦"),
    ("rust", "fn f<'a>(x: &'a str) { // '¦"),
    ("rust", 'r#"a"b"# // c¦'),
    ("rust", "let c = '\"'; // x¦"),
    ("rust", "/* a /* b */ c¦"),
    ("rust", "/* a /* b¦"),
    ("rust", "/// Returns `a`¦"),
    ("rust", "//! A crate¦"),
    ("go", "s := `a\\` // b¦"),
    ("go", "r := '\"' /* a\n¦"),
    ("lua", "--[[ a\nb¦"),
    ("lua", "--[==[ a ]] b¦"),
    ("sql", "select 'it''s' -- x¦"),
    ("html", "<a> <!-- b\n¦"),
    ("html", "<script>\nlet a = '//b'; // c¦"),
    ("html", "<style>\na { /* b¦"),
    ("shellscript", "echo a # b¦"),
    ("shellscript", 'echo "a\n# b" # c¦'),
    ("shellscript", "cat <<EOF\n# a\nEOF\n# b¦"),
    ("shellscript", "echo ${#a} # b¦"),
    ("shellscript", "# it's¦"),
    ("ruby", "x = /a#b/ # c¦"),
    ("ruby", "=begin\na¦"),
    ("ruby", 'x = "#{a}" # b¦'),
    ("php", "<?php\n$a = 'b'; // c¦"),
    ("php", "<?php\n/** Returns\n * a¦"),
    ("php", "<?php\n# a¦"),
    ("csharp", '@"a\\"; // b¦'),
    ("csharp", "/// <summary> a¦"),
    ("kotlin", "/* a /* b */ c¦"),
    ("swift", "/* a /* b */ c¦"),
    ("scala", "/** a\n * b¦"),
    ("css", "a { /* b\n¦"),
    ("scss", "a { // b¦"),
    ("haskell", "f = {- a¦"),
    ("haskell", "f = {- a {- b -} c¦"),
    ("haskell", "f x' = x' -- a¦"),
    ("ocaml", "let x = (* a (* b *) c¦"),
    ("lisp", "(a) ; b¦"),
    ("viml", 'let x = "a"\n  " b¦'),
    ("yaml", "a: b # c¦"),
    ("toml", 'a = """\n# b\n""" # c¦'),
    ("dockerfile", "FROM a\n# b¦"),
    ("makefile", "a: b # c¦"),
    ("powershell", "<# a\n¦"),
    ("julia", "#= a\n¦"),
    ("perl", "$x = 1; # a¦"),
    ("elixir", 'x = "#{a}" # b¦'),
    ("jsonc", '{"a": 1, // b¦'),
    ("latex", "a % b¦"),
]
NOT_IN_COMMENT = [
    ("python", "x = 1\n¦"),
    ("python", "x = '# no¦"),
    ("python", '"""# no\n# no¦'),
    ("python", "'''# no\n# no¦"),
    ("python", 'def f():\n    """Return a # b.\n\n    # no¦'),
    ("python", "# so\n¦"),
    ("python", "x = f'{a}#{b} # no¦"),
    ("python", 'x = f"""\n{a} # no¦'),
    ("python", "x = r'\\' # no¦"),
    ("python", "x = {'#': 1, '# no¦"),
    ("c", "/* a */¦"),
    ("c", '"// no¦'),
    ("c", '"/* no¦'),
    ("c", "a / b¦"),
    ("c", "char c = '/'; x = '*¦"),
    ("cpp", 'auto s = R"(\n// no¦'),
    ("cpp", 'auto s = R"x(\n)" // no¦'),
    ("java", 'String s = """\n  // no¦'),
    ("java", 'String s = "http://no¦'),
    ("javascript", "`// no\n// no¦"),
    ("javascript", "x = /[//] no¦"),
    ("javascript", "x = /[//] no/.test(a¦"),
    ("javascript", "x = /\\/\\/ no¦"),
    ("javascript", "x = `${a} // no¦"),
    ("javascript", "x = `${`// no¦"),
    ("javascript", "/* a */ b = '/*¦"),
    ("javascriptreact", "x = <p>http://no¦"),
    ("javascriptreact", "x = <p>don't // no¦"),
    ("typescript", "x = /[/*]/.exec(a) || b¦"),
    ("typescriptreact", "return <a href='//no¦"),
    ("css", "a { b: url(//c)¦"),
    ("scss", "a { b: url(//c)¦"),
    ("go", "`// no\n¦"),
    ("go", "`/* no\n¦"),
    ("rust", 'r#"a" // no¦'),
    ("rust", "/* a /* b */ c */ d¦"),
    ("rust", 'x = "// no\n// no¦'),
    ("shellscript", "echo $#¦"),
    ("shellscript", "echo ${a#b¦"),
    ("shellscript", 'echo "a\n# no¦'),
    ("shellscript", "cat <<EOF\n# no¦"),
    ("shellscript", "cat <<-'END'\n\t# no¦"),
    ("shellscript", "echo a#no¦"),
    ("ruby", "x = <<~TEXT\n  # no¦"),
    ("ruby", 'x = "#{a} # no¦'),
    ("ruby", "x = /a #no¦"),
    ("ruby", "=begin\na\n=end\n¦"),
    ("perl", "$x = $#a¦"),
    ("php", "<?php\n$a = <<<EOT\n// no¦"),
    ("php", "<?php\n$a = '// no¦"),
    ("csharp", '@"a\n// no¦'),
    ("kotlin", 'x = """\n// no¦'),
    ("kotlin", "/* a /* b */ c */ d¦"),
    ("yaml", "a: b#c¦"),
    ("yaml", "a: 'b # no¦"),
    ("toml", 'a = """\n# no¦'),
    ("html", "<!-- a -->¦"),
    ("html", "<script>\nlet a = '//no¦"),
    ("lua", "a - b¦"),
    ("lua", "x = [==[ -- no\n ]] -- no¦"),
    ("haskell", 'f = "-- no¦'),
    ("haskell", "{- a {- b -} c -} d¦"),
    ("sql", "select '-- no¦"),
    ("elixir", '"""\n# no¦'),
    ("plaintext", "# x¦"),
    ("json", '{"a": "// x¦'),
    ("nobody knows", "# x¦"),
]


@pytest.mark.parametrize(("language", "text"), IN_COMMENT)
def test_in_a_comment(language, text):
    assert ends_in_comment(text.removesuffix("¦"), language)


@pytest.mark.parametrize(("language", "text"), NOT_IN_COMMENT)
def test_not_in_a_comment(language, text):
    assert not ends_in_comment(text.removesuffix("¦"), language)


LONG = {
    "python": ("def f(x):\n    return x  # it's one\n\n\n", '"""', '"""', "# "),
    "c": ("int f(void) {\n  return g(\"a\", 'b'); /* it's one */\n}\n\n", "/*", "*/", "// "),
    "javascript": ("const f = (x) => `${x}/${/[/*]/.test(x)}`; // it's\n\n", "`", "`", "// "),
    "ruby": ("def f(x)\n  x + 'a' # it's one\nend\n\n", "=begin\n", "\n=end\n", "# "),
    "kotlin": ("fun f(x: Int): Int {\n  return x // it's one\n}\n\n", '"""', '"""', "// "),
}


@pytest.mark.parametrize("language", LONG)
def test_a_comment_far_down_a_long_file(language):
    code, begin, end, mark = LONG[language]
    text = code * (40_000 // len(code))
    assert not ends_in_comment(text + "x", language)
    assert ends_in_comment(text + f"x {mark}y", language)
    text += f"\n{begin} a\n" + "b c\n" * 1_500
    is_comment = begin in ("/*", "=begin\n")
    assert ends_in_comment(text, language) == is_comment
    assert ends_in_comment(text + mark, language) == is_comment
    assert not ends_in_comment(text + end + "\n" + code, language)
    assert ends_in_comment(text + end + "\n" + code + mark, language)


@pytest.fixture
def chars_read(monkeypatch):
    """Characters that each reading by a parser takes."""
    lengths = []

    def counted(text, language):
        lengths.append(len(text))
        return lexing.lexed(text, language)

    monkeypatch.setattr(comments, "lexed", counted)
    monkeypatch.setattr(comments, "_places", comments._Places())
    return lengths


@pytest.mark.parametrize("language", ["python", "c", "kotlin"])
def test_a_key_in_a_file_of_20000_lines_has_little_of_it_read(language, chars_read):
    code, *_, mark = LONG[language]
    lines = (code * 20_000).splitlines(keepends=True)
    before = "".join(lines[:20_000])
    most = 10 * comments.MAX_PARTS * 2 * comments.PART_CHARS
    while True:  # the first keys get to know the file, a bounded part of it each
        ends_in_comment(before, language)
        assert sum(chars_read) <= most
        if len(chars_read) < 10:
            break
        chars_read.clear()
    for key in f"x = 1 {mark}y":
        chars_read.clear()
        before += key
        is_comment = ends_in_comment(before, language)
        assert sum(chars_read) <= 10 * comments.PART_CHARS
    assert is_comment


def test_what_is_known_ends_at_an_edit(chars_read):
    text = "x = 1\n" * 5_000
    assert not ends_in_comment(text, "python")
    assert not ends_in_comment(text[:60] + '"""\n' + text[60:] + "# no", "python")
    assert ends_in_comment(text + "# so", "python")


PARTS = st.lists(
    st.sampled_from(
        ["#", '"""', "'''", '"', "'", "\n", "\\", "{", "x = ", "f", "/*", "*/", "//", "`"]
    ),
    max_size=30,
).map("".join)


@settings(max_examples=100, deadline=None)
@given(PARTS, st.sampled_from([*_LANGUAGES]))
def test_any_text_has_an_answer(text, language):
    assert ends_in_comment(text, language) in (True, False)


def test_nearly_every_language_of_ours_has_a_parser():
    without = {name for name in _LANGUAGES if not lexing.has_parser(name)}
    assert without == {"json", "plaintext"}
