"""Keywords of the languages that benchmarks are written in; they are no identifiers.

Sources: Python's ``keyword``; the Java Language Specification, 3.9; the C# reference, reserved
keywords; TypeScript's scanner, reserved words of ECMAScript and names of types; what C++ and Go
reserve.
"""

import keyword


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_C_LIKE = _words("""
    break case char const continue default do double else enum float for goto if int long return
    short static switch void while
""")
_OBJECTS = _words("""
    catch class false new null private protected public this throw true try
""")
_JAVA = (_C_LIKE | _OBJECTS) | _words("""
    abstract assert boolean byte extends final finally implements import instanceof interface
    native package record strictfp super synchronized throws transient var volatile yield
""")
_CSHARP = (_C_LIKE | _OBJECTS) | _words("""
    abstract as base bool byte checked decimal delegate event explicit extern finally fixed foreach
    implicit in interface internal is lock namespace object operator out override params readonly
    ref sbyte sealed sizeof stackalloc string struct typeof uint ulong unchecked unsafe ushort using
    var virtual volatile
""")
_TYPESCRIPT = _OBJECTS | _words("""
    any as async await boolean break case const continue debugger default delete do else enum export
    extends finally for function if implements import in instanceof interface let number of package
    readonly return static string super switch type typeof undefined unknown var void while with
    yield
""")
_CPP = (_C_LIKE | _OBJECTS) - {"null"} | _words("""
    auto bool constexpr decltype delete explicit extern friend inline mutable namespace noexcept
    nullptr operator register signed sizeof struct template typedef typename union unsigned using
    virtual volatile
""")
_GO = _words("""
    break case chan const continue default defer else fallthrough for func go goto if import
    interface map package range return select struct switch type var
""")

KEYWORDS: dict[str, frozenset[str]] = {
    "python": frozenset(keyword.kwlist),
    "java": _JAVA,
    "csharp": _CSHARP,
    "typescript": _TYPESCRIPT,
    "typescriptreact": _TYPESCRIPT,
    "javascript": _TYPESCRIPT,
    "javascriptreact": _TYPESCRIPT,
    "cpp": _CPP,
    "c": _C_LIKE,
    "go": _GO,
}
"""Keywords by LSP's identifier of the language."""


def keywords_of(language: str) -> frozenset[str]:
    """Return the keywords of a language; none if it is not known."""
    return KEYWORDS.get(language, frozenset())
