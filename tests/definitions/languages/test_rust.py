"""What texts in Rust say, and which files their paths mean."""

import pytest

from tests.definitions.small_repository import named, read, shown, stands_for

STORE = """
    /// Keeps berths.
    #[derive(Debug)]
    pub struct Store<T> {
        pub berths: Vec<Berth>,
        inner: Arc<Mutex<T>>,
    }

    pub struct Pair(pub u32, String);

    pub enum Kind {
        Small,
        Large { depth: u32 },
    }

    pub trait Port: Named + Send {
        fn find(&self, name: &str) -> Option<Berth>;
        fn size(&self) -> usize { 0 }
    }

    impl<T> Store<T> {
        pub const LIMIT: usize = 3;
        pub fn new(path: &Path) -> Result<Self> { todo!() }
        fn private(&self) {}
    }

    impl<T> Port for Store<T> {
        fn find(&self, name: &str) -> Option<Berth> { None }
    }

    pub fn moor<T>(vessel: impl Into<T>) -> Berth where T: Port { todo!() }

    macro_rules! knots { ($x:expr) => { $x } }

    #[cfg(test)]
    mod tests { fn helper() {} }
"""


def test_definitions_are_shown_without_bodies() -> None:
    assert shown("src/store.rs", STORE) == [
        "pub struct Store<T> {",
        "    pub berths: Vec<Berth>,",
        "    inner: Arc<Mutex<T>>,",
        "pub struct Pair(pub u32, String);",
        "pub enum Kind {",
        "    Small,",
        "    Large { depth: u32 },",
        "pub trait Port: Named + Send {",
        "    fn find(&self, name: &str) -> Option<Berth>;",
        "    fn size(&self) -> usize;",
        "    pub const LIMIT: usize = 3;",
        "    pub fn new(path: &Path) -> Result<Self>;",
        "    fn private(&self);",
        "    fn find(&self, name: &str) -> Option<Berth>;",
        "pub fn moor<T>(vessel: impl Into<T>) -> Berth where T: Port;",
        "macro_rules! knots { ($x:expr) => ...",
    ]


def test_members_of_impl_blocks_belong_to_their_type() -> None:
    found = named("src/store.rs", STORE)
    assert found["Store"].documentation == "Keeps berths."
    assert found["Store.new"].type == "Result<Store>"
    assert found["Store.new"].is_static
    assert not found["Store.find"].is_static
    assert found["Store.private"].is_private
    assert not found["Store.find"].is_private
    assert found["Port"].bases == ("Named", "Send")


def test_use_trees_are_taken_apart() -> None:
    imports = read(
        "src/a.rs", "pub use crate::{a::{self, B as C}, d::*};\nuse super::x;\nextern crate bar;\n"
    ).imports
    assert [(one.alias, one.module, one.name) for one in imports] == [
        ("a", "crate", "a"),
        ("C", "crate::a", "B"),
        ("*", "crate::d", ""),
        ("x", "super", "x"),
        ("bar", "bar", ""),
    ]
    assert [one.is_public for one in imports] == [True, True, True, False, False]


FILES = {
    "Cargo.toml": '[workspace]\nmembers = ["port-core", "app"]\n',
    "port-core/Cargo.toml": '[package]\nname = "port-core"\n',
    "port-core/src/lib.rs": "pub mod store;\nmod inner;\npub use inner::deep::Knot;\n",
    "port-core/src/store.rs": (
        "use super::inner::deep::Knot;\npub struct Store { pub knot: Knot }\n"
        "impl Store { pub fn new() -> Self { todo!() }\n"
        "    pub fn tie(&self) -> Knot { todo!() } }\n"
    ),
    "port-core/src/inner/mod.rs": "pub mod deep;\n",
    "port-core/src/inner/deep.rs": "pub struct Knot;\nimpl Knot { pub fn pull(&self) {} }\n",
    "app/Cargo.toml": '[package]\nname = "app"\n',
    "app/src/util.rs": "pub fn help() {}\n",
    "app/tests/all.rs": "use port_core::store::Store;\n",
}


@pytest.mark.parametrize(
    ("statement", "expression", "expected"),
    [
        ("use port_core::store::Store;", "Store", "port-core/src/store.rs: Store"),
        ("use port_core::Knot;", "Knot", "port-core/src/inner/deep.rs: Knot"),
        ("use port_core::store;", "store.Store", "port-core/src/store.rs: Store"),
        ("use port_core::store::*;", "Store", "port-core/src/store.rs: Store"),
        ("mod util;", "util.help", "app/src/util.rs: help"),
        ("use crate::util::help;", "help", "app/src/util.rs: help"),
        ("", "crate.util.help", "app/src/util.rs: help"),
        ("fn f() { crate::util::help(); }", "help", "app/src/util.rs: help"),
        (
            "use port_core::store::Store;\nfn f() { let s = Store::new();\n",
            "s.tie",
            "port-core/src/store.rs: Store.tie",
        ),
        (
            "use port_core::store::Store;\nfn f(s: &mut Store) {\n",
            "s.knot.pull",
            "port-core/src/inner/deep.rs: Knot.pull",
        ),
        (
            "use port_core::store::Store;\nstruct A { s: Box<Store> }\nimpl A { fn f(&self) {\n",
            "self.s.tie",
            "port-core/src/store.rs: Store.tie",
        ),
    ],
)
def test_paths_lead_to_the_definition(statement: str, expression: str, expected: str) -> None:
    files = {**FILES, "app/src/main.rs": statement + "\n"}
    line = statement.count("\n") + (not statement.endswith("\n"))
    assert stands_for(files, "app/src/main.rs", expression, line) == [expected]


def test_tests_of_a_package_are_crates_of_their_own() -> None:
    assert stands_for(FILES, "app/tests/all.rs", "Store") == ["port-core/src/store.rs: Store"]


def test_the_standard_library_is_not_of_the_repository() -> None:
    files = {**FILES, "app/src/main.rs": "use std::store::Store;\n"}
    assert stands_for(files, "app/src/main.rs", "Store") == []
