"""What texts in Java say, and which files their imports mean."""

import pytest

from tests.definitions.small_repository import named, shown, stands_for

STORE = """
    package port.store;

    /** Keeps berths. */
    @Service
    public final class Store<T extends Berth> extends Base<T> implements Closeable {
        public static final int LIMIT = 3;
        private final Map<String, Berth> berths = new HashMap<>();

        @Inject
        public Store(Path path, Berth... more) throws IOException { this.path = path; }

        @Override
        public Berth find(String name) { return new Berth() { void odd() {} }; }

        public enum Kind { SMALL, LARGE(1) { } ; int depth() { return 1; } }

        interface Watcher { void seen(Berth berth); }

        record Point(int x, int y) { }
    }
"""


def test_definitions_are_shown_without_bodies_and_annotations() -> None:
    assert shown("Store.java", STORE) == [
        "public final class Store<T extends Berth> extends Base<T> implements Closeable {",
        "    public static final int LIMIT = 3;",
        "    private final Map<String, Berth> berths = new HashMap<>();",
        "    public Store(Path path, Berth... more) throws IOException;",
        "    public Berth find(String name);",
        "    public enum Kind {",
        "SMALL,",
        "LARGE(1),",
        "int depth();",
        "    interface Watcher {",
        "void seen(Berth berth);",
        "    record Point(int x, int y) {",
        "int x;",
        "int y;",
    ]


def test_members_have_their_owner_type_and_who_sees_them() -> None:
    found = named("Store.java", STORE)
    assert found["Store"].bases == ("Base<T>", "Closeable")
    assert found["Store"].documentation == "Keeps berths."
    assert found["Store.find"].type == "Berth"
    assert found["Store.Kind.depth"].owner == "Store.Kind"
    assert [name for name, one in found.items() if one.is_private] == ["Store.berths"]
    statics = {name for name, one in found.items() if one.is_static}
    assert statics == {"Store.LIMIT", "Store.Kind.SMALL", "Store.Kind.LARGE"}


FILES = {
    "core/src/main/java/port/store/Store.java": (
        "package port.store;\npublic class Store extends Base {\n"
        "    public static Store open() { return null; }\n"
        "    public Berth find() { return null; }\n"
        "    public static class Berth { public int depth; }\n}\n"
    ),
    "core/src/main/java/port/store/Base.java": (
        "package port.store;\nclass Base {\n    void close() {}\n}\n"
    ),
    "core/src/test/java/port/store/StoreTest.java": "package port.store;\nclass StoreTest {\n}\n",
}


@pytest.mark.parametrize(
    ("statement", "expression", "expected"),
    [
        ("import port.store.Store;", "Store", "Store.java: Store"),
        ("import port.store.Store.Berth;", "Berth", "Store.java: Store.Berth"),
        (
            "import port.store.Store;\nclass A { Store s;\n void f() {\n",
            "s.find",
            "Store.java: Store.find",
        ),
        (
            "import port.store.Store;\nclass A { private Store s;\n void f() {\n",
            "this.s.close",
            "Base.java: Base.close",
        ),
        (
            "import port.store.Store;\nclass A { void f() { var s = new Store();\n\n",
            "s.find",
            "Store.java: Store.find",
        ),
        (
            "import port.store.Store;\nclass A { void f() { var b = Store.open().find();\n\n",
            "b.depth",
            "Store.java: Store.Berth.depth",
        ),
        (
            "import port.store.Store;\nclass A extends Store { void f() {\n\n",
            "find",
            "Store.java: Store.find",
        ),
    ],
)
def test_imports_and_values_lead_to_the_definition(
    statement: str, expression: str, expected: str
) -> None:
    path = "app/src/main/java/port/app/Main.java"
    files = {**FILES, path: f"package port.app;\n{statement}\n"}
    found = stands_for(files, path, expression, 4)
    assert found == [f"core/src/main/java/port/store/{expected}"]


def test_all_of_a_package_can_be_imported() -> None:
    path = "core/src/test/java/port/app/AppTest.java"
    files = {**FILES, path: "package port.app;\nimport port.store.*;\nclass AppTest {}\n"}
    expected = "core/src/main/java/port/store/Store.java: Store"
    assert stands_for(files, path, "Store") == [expected]


def test_a_package_is_seen_without_imports_from_its_tests_too() -> None:
    main, tests = (f"core/src/{kind}/java/port/store" for kind in ("main", "test"))
    assert stands_for(FILES, f"{main}/Store.java", "Base") == [f"{main}/Base.java: Base"]
    assert stands_for(FILES, f"{tests}/StoreTest.java", "Store") == [f"{main}/Store.java: Store"]
