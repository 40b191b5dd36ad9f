"""What texts in C and C++ say, and which headers their includes mean."""

import pytest

from tests.definitions.small_repository import named, read, shown, stands_for

HEADER = """
    #ifndef STORE_H
    #define STORE_H
    #include <stdio.h>
    #include "port/berth.h"
    #define LIMIT 3
    #define MIN(a, b) \\
        ((a) < (b) ? (a) : (b))

    /* A store. */
    typedef struct store {
        int depth;
        struct store *next;
    } store_t;
    typedef struct { int x, *y; } pair;
    enum kind { SMALL, LARGE = 2 };
    extern int n_stores;
    static const char *names[] = { "a" };
    store_t *store_open(const char *path, pair where);
    static inline int twice(int x) { return 2 * x; }
    #endif
"""


@pytest.mark.parametrize("path", ["store.c", "store.h"])
def test_definitions_of_c_are_shown_without_bodies(path: str) -> None:
    assert shown(path, HEADER) == [
        "#define LIMIT 3",
        "#define MIN(a, b) ...",
        "typedef store store_t;",
        "struct store {",
        "    int depth;",
        "    struct store *next;",
        "typedef struct {",
        "int x, *y;",
        "int x, *y;",
        "enum kind { SMALL, LARGE = 2 };",
        "enum kind { SMALL, ... };",
        "enum kind { LARGE = 2, ... };",
        "extern int n_stores;",
        'static const char *names[] = { "a" };',
        "store_t *store_open(const char *path, pair where);",
        "static inline int twice(int x);",
    ]


def test_types_of_c_are_told() -> None:
    found = named("store.h", HEADER)
    assert found["store_t"].bases == ("store",)
    assert found["pair.y"].type == "int"
    assert found["store_open"].type == "store_t"
    assert found["SMALL"].type == "kind"
    assert [one.module for one in read("store.h", HEADER).imports] == ["stdio.h", "port/berth.h"]


CLASS = """
    namespace port { namespace inner {
    template <typename T>
    class PORT_EXPORT Store : public Base<T>, private Named {
     public:
      explicit Store(int depth) : depth_(depth) {}
      T find(const std::string& name) const { return T(); }
      static Store* open();
      int size = 1;
      struct Berth { int length; };
     private:
      void hidden();
    };
    enum class Kind : int { kSmall, kLarge };
    using Stores = std::vector<Store<int>>;
    }}
    int port::Store::run(int x) { return 1; }
"""


def test_definitions_of_cpp_are_shown_without_bodies() -> None:
    assert [" ".join(one.split()) for one in shown("store.hpp", CLASS)] == [
        "template <typename T> class Store : public Base<T>, private Named {",
        "explicit Store(int depth);",
        "T find(const std::string& name) const;",
        "static Store* open();",
        "int size = 1;",
        "struct Berth {",
        "int length;",
        "void hidden();",
        "enum class Kind : int { kSmall, kLarge };",
        "kSmall,",
        "kLarge,",
        "using Stores = std::vector<Store<int>>;",
        "int port::Store::run(int x);",
    ]


def test_methods_outside_of_their_class_belong_to_it() -> None:
    found = named("store.hpp", CLASS)
    assert found["Store"].bases == ("Base<T>", "Named")
    assert found["Store.run"].kind == "method"
    assert [name for name, one in found.items() if one.is_private] == ["Store.hidden"]
    assert next(name for name, one in found.items() if one.is_static) == "Store.open"


FILES = {
    "include/port/store.h": (
        '#include "berth.h"\nclass Store {\n public:\n  Berth* find(int n);\n};\nStore* open();\n'
    ),
    "include/port/berth.h": "struct Berth { int depth; };\n#define DEEP 3\n",
    "vendor/store.h": "class Other {};\n",
}


@pytest.mark.parametrize(
    ("text", "expression", "expected"),
    [
        ("", "Store", "include/port/store.h: Store"),
        ("", "DEEP", "include/port/berth.h: DEEP"),
        ("void f(Store *s) {\n", "s.find", "include/port/store.h: Store.find"),
        ("void f() { auto s = open();\n", "s.find", "include/port/store.h: Store.find"),
        ("void f() { Store s(1);\n", "s.find", "include/port/store.h: Store.find"),
        ("void f(const Berth& b) {\n", "b.depth", "include/port/berth.h: Berth.depth"),
    ],
)
def test_includes_lead_to_the_definition(text: str, expression: str, expected: str) -> None:
    files = {**FILES, "src/main.cc": f'#include "port/store.h"\n{text}\n'}
    assert stands_for(files, "src/main.cc", expression, 2) == [expected]
