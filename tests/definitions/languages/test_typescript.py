"""What texts in TypeScript and JavaScript say, and which files their imports mean."""

import time

import pytest

from tests.definitions.small_repository import named, read, shown, stands_for

CLASS = """
    import { Base } from "./base";

    /**
     * Keeps berths.
     * And more.
     */
    @Injectable({ scope: "root" })
    export class Harbour<T> extends Base<T> implements Port, Closeable {
      static limit = 3;
      private readonly store: Store;
      #secret = 1;
      constructor(private log: Log, public name: string) {
        super();
      }
      @Input()
      async moor(vessel: Vessel, at?: number): Promise<Berth> {
        return this.store.find(vessel);
      }
      get size(): number { return 1; }
      leave = (vessel: Vessel): void => { vessel.go(); };
    }
"""


def test_classes_are_shown_by_their_head_and_members_by_their_signatures() -> None:
    assert shown("a.ts", CLASS) == [
        "export class Harbour<T> extends Base<T> implements Port, Closeable {",
        "  static limit = 3;",
        "  private readonly store: Store;",
        "  #secret = 1;",
        "private log: Log;",
        "public name: string;",
        "  constructor(private log: Log, public name: string);",
        "  async moor(vessel: Vessel, at?: number): Promise<Berth>;",
        "  get size(): number;",
        "  leave = (vessel: Vessel): void => ...;",
    ]


def test_members_have_their_owner_type_and_who_sees_them() -> None:
    found = named("a.ts", CLASS)
    assert found["Harbour"].bases == ("Base", "Port", "Closeable")
    assert found["Harbour"].documentation == "Keeps berths."
    assert found["Harbour.moor"].kind == "method"
    assert found["Harbour.moor"].type == "Promise<Berth>"
    assert found["Harbour.store"].type == "Store"
    private = {name for name, one in found.items() if one.is_private}
    assert private == {"Harbour.store", "Harbour.#secret", "Harbour.log"}
    assert {name for name, one in found.items() if one.is_static} == {"Harbour.limit"}


def test_interfaces_enumerations_and_types_have_members() -> None:
    found = named(
        "a.ts",
        """
        export interface Port extends Named { depth: number; find(name: string): Berth }
        export enum Kind { Small = 1, Large }
        export type Options = { knots: number } & Defaults;
        namespace Charts { export const scale = 2; }
        """,
    )
    assert found["Port"].bases == ("Named",)
    assert found["Port.find"].shown == "find(name: string): Berth;"
    assert {"Port.depth", "Kind.Small", "Kind.Large", "Options.knots", "Charts.scale"} <= {*found}
    assert found["Options"].bases == ("Defaults",)


def test_functions_and_constants_are_shown_without_bodies() -> None:
    assert shown(
        "a.ts",
        """
        export function moor(vessel: Vessel): Berth { return find(vessel); }
        export const find = async (vessel: Vessel) => { return 1; };
        export const LIMIT: number = 3;
        const table = {
          one: 1,
          two(x: number) { return x; },
        };
        """,
    ) == [
        "export function moor(vessel: Vessel): Berth;",
        "export const find = async (vessel: Vessel) => ...;",
        "export const LIMIT: number = 3;",
        "const table = { ...",
        "  one: 1;",
        "  two(x: number);",
    ]


def test_what_is_within_functions_is_no_definition() -> None:
    text = "function outer() { function inner() {} class Within { x = 1 } const y = 2; }"
    assert [*named("a.ts", text)] == ["outer"]


STORE = "export class Store { find(name: string): Berth {} }\nexport class Berth { depth = 1 }\n"


@pytest.mark.parametrize(
    ("statement", "expression"),
    [
        ('import { Store } from "./store";', "Store"),
        ('import { Store as Shop } from "./store.js";', "Shop"),
        ('import * as all from "./store";', "all.Store"),
        ('import type { Store } from "../src/store";', "Store"),
        ('import { Store } from ".";', "Store"),
        ('import { Shop } from "./index";', "Shop"),
        ('import Store from "./whole";', "Store"),
        ('const { Store } = require("./store");', "Store"),
        ('const Store = require("./old");', "Store"),
        ('import { Store } from "@/store";', "Store"),
        ('import { Store } from "src/store";', "Store"),
        ('import { Store } from "@port/harbour";', "Store"),
        ('import { Store } from "@port/harbour/store";', "Store"),
    ],
)
def test_imports_lead_to_the_definition(statement: str, expression: str) -> None:
    files = {
        "package.json": '{"name": "@port/harbour", "main": "dist/index.js"}',
        "tsconfig.json": (
            '{ "compilerOptions": { "baseUrl": ".", /* x */ "paths": {"@/*": ["src/*"],} } }'
        ),
        "src/store.ts": STORE,
        "src/index.ts": 'export * from "./store";\nexport { Store as Shop } from "./store";\n',
        "src/whole.ts": 'import { Store } from "./store";\nexport default Store;\n',
        "src/old.js": 'const { Store } = require("./store");\nmodule.exports = Store;\n',
        "src/main.ts": statement + "\n",
    }
    assert stands_for(files, "src/main.ts", expression) == ["src/store.ts: Store"]


def test_a_package_of_the_workspace_is_found_by_its_name() -> None:
    files = {
        "packages/shared/package.json": '{"name": "@port/shared", "types": "dist/index.d.ts"}',
        "packages/shared/src/index.ts": 'export * from "./store"\n',
        "packages/shared/src/store.ts": STORE,
        "apps/web/main.tsx": 'import { Store } from "@port/shared"\n',
    }
    assert stands_for(files, "apps/web/main.tsx", "Store") == [
        "packages/shared/src/store.ts: Store"
    ]


@pytest.mark.parametrize(
    ("statement", "expression"),
    [
        ("const one = new Store();", "one.find"),
        ("let one: Store | undefined;", "one.find"),
        ("function use(one: Store) {\n", "one.find"),
        ("const one = make();\nfunction make(): Store {}", "one.find"),
        ("const one = (await make()) as Store;", "one.find"),
        ("class Own { constructor(private one: Store) {\n", "this.one.find"),
        ("class Own { one = new Store();\n  use() {\n", "this.one.find"),
        ("class Own extends Store { use() {\n", "this.find"),
    ],
)
def test_values_lead_to_the_members_of_their_class(statement: str, expression: str) -> None:
    files = {"store.ts": STORE, "main.ts": f'import {{ Store }} from "./store";\n{statement}\n'}
    assert stands_for(files, "main.ts", expression, 3) == ["store.ts: Store.find"]


def test_members_that_javascript_sets_are_known() -> None:
    found = named(
        "a.js",
        """
        class Harbour { constructor() { this.store = new Store(); } }
        Harbour.prototype.moor = function (vessel) { return 1; };
        exports.find = (name) => name;
        module.exports = { Harbour, shop: Harbour };
        """,
    )
    assert found["Harbour.store"].type == "Store"
    assert found["Harbour.moor"].shown == "Harbour.prototype.moor = function (vessel);"
    assert found["find"].kind == "function"
    imports = read("a.js", "class A {}\nmodule.exports = { b: A };").imports
    assert [(one.alias, one.name, one.is_public) for one in imports] == [("b", "A", True)]


def test_a_configuration_of_comments_without_an_end_is_read_once() -> None:
    start = time.process_time()
    files = {"tsconfig.json": "/* " * 100_000, "a.ts": 'import { b } from "b";\nb'}
    assert stands_for(files, "a.ts", "b") == []
    assert time.process_time() - start < 15  # what is quadratic takes minutes
