"""Names of TypeScript and JavaScript that do not exist where they are taken from, or may."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longllama_code.definitions.existing_names import existing_names, missing_name
from longllama_code.definitions.index import DefinitionIndex
from longllama_code.definitions.missing import MissingName
from longllama_code.definitions.script_names import OF_ANY
from tests.definitions.small_repository import index_of

SHOP = {
    "src/cart.ts": """\
        import { Item as Thing } from './items'
        export interface Line { item: Thing; n: number }
        export class Cart { lines: Line[] = []; add(item: Thing) {} }
        export const LIMIT = 3, { a: FIRST, ...OTHERS } = table
        export function total(cart: Cart): number { return 0 }
        function hidden() {}
        export { hidden as shown }
    """,
    "src/items/index.ts": "export * from './item'\nexport type { Line } from '../cart'\n",
    "src/items/item.ts": "export interface Item { name: string }\nexport default class X {}\n",
    "src/open.ts": "export * from 'elsewhere'\nexport const a = 1\n",
    "src/aliased.ts": "export * from '@/items'\nexport const a = 1\n",
    "src/gone.ts": "export * from './generated'\nexport const a = 1\n",
    "src/old.ts": "class Old {}\nexport = Old\n",
    "src/broken.ts": "export const a = ((\nexport * from './generated'\n",
    "src/ambient.d.ts": "export const a: number\n",
    "src/module.js": "exports.a = 1\nObject.assign(module.exports, all)\n// export\n",
    "src/script.js": "var a = 1\n",
    "src/esm.js": "export const a = 1\n",
    "src/view.ts": "export const a = 1\n",
    "src/view.native.ts": "export const swipe = 1\n",
    "src/added.ts": "declare module './cart' { interface Patched { n: number } }\n",
    "src/themes.ts": "export const dark = 1\n",
    "src/deep/inner.ts": "export const a = 1\n",
    "src/deep.ts": "export const b = 1\n",
    "tsconfig.json": '{"compilerOptions": {"paths": {"@/*": ["src/*"]}}}',
}
SPACE = "import * as cart from './cart'\n"


INDEX = index_of(SHOP)


def missing(prefix: str, suggestion: str, suffix: str = "\n", path: str = "src/app.ts", **more):
    return missing_name(INDEX, path, prefix, suggestion, suffix, **more)


@pytest.mark.parametrize(
    ("prefix", "suggestion", "suffix", "name", "start", "path"),
    [
        ("", "import { Basket } from './cart'", "\n", "Basket", 9, "src/cart.ts"),
        ("import { Cart, ", "Basket } from './cart';", "\n", "Basket", 0, "src/cart.ts"),
        ("import { Bas", "ket", " } from './cart'\n", "Basket", -3, "src/cart.ts"),
        ("import {\n  Cart, // ours\n", "  Basket as B,\n} from \"./cart\"", "", "Basket", 2,
         "src/cart.ts"),
        ("import { Basket }", " from './cart'", "\n", None, 0, ""),  # it was there before
        ("import type { ", "Basket", " } from './cart'\n", "Basket", 0, "src/cart.ts"),
        ("import Default, { type ", "Basket", " } from './cart.js'\n", "Basket", 0, "src/cart.ts"),
        ("", "export { Basket } from './cart'", "\n", "Basket", 9, "src/cart.ts"),
        ("", "import { Items } from './items'", "\n", "Items", 9, "src/items/index.ts"),
        ("", "import { Items } from './items/'", "\n", "Items", 9, "src/items/index.ts"),
        ("", "import { a } from './deep'", "\n", "a", 9, "src/deep.ts"),
        ("", "import { themed } from './themes'", "\n", "themed", 9, "src/themes.ts"),
        (SPACE + "x = ", "cart.totals(c)", "\n", "totals", 5, "src/cart.ts"),
        (SPACE + "let c: cart.", "Basket", "\n", "Basket", 0, "src/cart.ts"),
        (SPACE + "f(cart.total); x = `${cart.", "totals}`", "\n", None, 0, ""),
    ],
)  # fmt: skip
def test_a_name_that_a_module_lacks_is_found(prefix, suggestion, suffix, name, start, path):
    found = missing(prefix, suggestion, suffix)
    assert found == (None if name is None else MissingName(name, start, path))


def test_modules_of_javascript_are_looked_at_from_javascript():
    assert missing("import { ", "b } from './esm.js'", path="src/app.mjs") is not None
    assert missing("import { ", "b } from './esm.js'", path="src/app.ts") is None
    assert missing("import { ", "b } from './esm'", path="src/App.vue") is None
    jsx = "import * as view from './themes'\nexport const App = () => <view."
    assert missing(jsx, "Light />", path="src/App.tsx") is not None


@pytest.mark.parametrize(
    ("prefix", "suggestion"),
    [
        *(("import { ", f"{name} }} from './cart'") for name in ("Cart", "Line", "LIMIT", "shown")),
        *(("import { ", f"{name} }} from './cart'") for name in ("FIRST", "OTHERS", "total as t")),
        ("import { ", "Item, Line } from './items'"),
        ("import { ", "default as X } from './items/item'"),
        *(
            ("import { ", f"Any }} from './{name}'")
            for name in ("open", "aliased", "gone", "old", "broken", "ambient", "unknown")
        ),
        *(("import { ", f"Any }} from './{name}'") for name in ("module", "script", "esm")),
        ("import { ", "swipe } from './view'"),  # React Native takes the other file
        ("import { ", "Patched } from './cart'"),
        ("import { ", "Basket } from '@/cart'"),
        ("import { ", "Basket } from 'cart'"),
        ("import { ", "Basket } from './cart?raw'"),
        ("import { ", "$Basket, é } from './cart'"),
        ("import { ", "a } from './deep/'"),  # the folder of that name has no index
        ("export enum E { A, B }\n", "export { Cart } from './cart'"),
        ("import Basket", ", * as all from './cart'"),
        ("// import { ", "Basket } from './cart'"),
        ("/*\n", "import { Basket } from './cart'"),
        ("const code = `\n", "import { Basket } from './cart'"),
        (SPACE + "x = ", "cart.total(c)"),
        (SPACE + "x = '", "cart.totals'"),
        (SPACE + "x = 1 // ", "cart.totals"),
        (SPACE + "x = /", "cart.totals/"),
        (SPACE + "x = ", "cart.toString()"),
        (SPACE + "x = ", "cart.__esModule"),
        (SPACE + "y = cart.totals\nx = ", "cart.totals"),
        (SPACE + "function f(cart: Cart) {\n  return ", "cart.totals"),
        (SPACE + "for (const cart of carts) ", "cart.totals()"),
        (SPACE + "carts.map(cart => ", "cart.totals)"),
        (SPACE + "const { cart } = this\n", "cart.totals"),
        (SPACE + "jest.mock(cart)\n", "cart.totals"),
        (SPACE + "x = self.", "cart.totals"),
        ("import cart from './cart'\n", "cart.totals"),
        ("const cart = require('./cart')\n", "cart.totals"),
        (SPACE + "import * as cart from './items'\n", "cart.totals"),
    ],
)  # fmt: skip
def test_what_exists_or_may_exist_is_not_missing(prefix, suggestion):
    assert missing(prefix, suggestion) is None


def test_a_word_that_is_not_complete_or_was_written_a_short_while_ago_is_not_judged():
    prefix = SPACE + "x = "
    assert missing(prefix, "cart.tot", is_whole=False) is None
    assert missing(prefix, "cart.tot", "al\n") is None
    assert missing(prefix, "cart.newest", new_words=frozenset({"newest"})) is None
    assert missing(prefix, "cart.newest") is not None


def test_a_module_of_which_the_index_has_a_part_lacks_nothing():
    index = DefinitionIndex()
    index.put("big.ts", "export const x = 1\n" * 15_000)
    assert missing_name(index, "app.ts", "", "import { y } from './big'", "\n") is None


def test_what_may_stand_there_instead():
    names = existing_names(INDEX, MissingName("Basket", 0, "src/cart.ts"))
    assert {"Line", "Cart", "LIMIT", "total", "shown"} <= names
    assert not {"hidden", "Thing", "add", "lines"} & names
    assert {"Item", "Line"} <= existing_names(INDEX, MissingName("x", 0, "src/items/index.ts"))
    assert "default" not in existing_names(INDEX, MissingName("x", 0, "src/items/item.ts"))


NAMES = st.from_regex(r"[A-Za-z_$][A-Za-z0-9_$]{0,7}", fullmatch=True)
STATEMENTS = st.sampled_from(
    [
        "export const {0} = 1",
        "export let a, {0}",
        "export function* {0}() {{}}",
        "export async function {0}() {{}}",
        "export abstract class {0} {{}}",
        "export declare const {0}: number",
        "export type {0}<T> = T[]",
        "export interface {0} {{ x: 1 }}",
        "export const enum {0} {{ A }}",
        "export namespace {0} {{ export const b = 1 }}",
        "export const {{ x: {{ {0} }} }} = y",
        "export const [, {0} = 1] = y",
        "const b = 1; export {{ b as {0} }}",
        "export {{ z as {0} }} from 'elsewhere'",
        "export * as {0} from 'elsewhere'",
        "import {0} from 'x'; export {{ {0} }}",
        "export import {0} = A.B",
        "export const broken = ((; export const {0} = `",
    ]
)
MODULES = st.lists(st.tuples(STATEMENTS, NAMES), min_size=1, max_size=6)


@given(MODULES, st.data())
def test_no_name_of_a_module_is_ever_refused(module, data):
    text = "\n".join(statement.format(name) for statement, name in module)
    index = index_of({"src/mod.ts": text})
    name = data.draw(st.sampled_from([name for _, name in module]))
    n_typed = data.draw(st.integers(0, len(name)))
    typed, rest = name[:n_typed], name[n_typed:]
    prefix = "import * as mod from './mod'\nmod."
    assert missing_name(index, "src/app.ts", prefix + typed, rest, "\n") is None
    closing = " } from './mod'\n"
    assert missing_name(index, "src/app.ts", "import { " + typed, rest, closing) is None


@given(MODULES, st.from_regex(r"[A-Za-z_]{1,8}", fullmatch=True))
def test_a_name_that_stands_nowhere_is_refused_wherever_nothing_is_dynamic(module, name):
    text = "\n".join(statement.format(one) for statement, one in module)
    words = set(re.findall(r"[^\W\d][\w$]*", text))
    index = index_of({"src/mod.ts": text})
    found = missing_name(index, "src/app.ts", "import { ", name, " } from './mod'\n")
    unsure = name in words or name.startswith("__") or name in OF_ANY or "exports" in words
    may_hide_a_star = "broken" in words and "export *" in text  # what could not be parsed
    if name not in ("import", "export", "from") and not may_hide_a_star:
        assert (found is None) == unsure


@pytest.mark.parametrize("piece", ["import\n", "export {\n", "import cart\n", "cart.a\n", "cart\n"])
def test_imports_without_an_end_are_read_once(piece):
    start = time.process_time()
    missing(f"{SPACE}{piece * 100_000}", "cart.absent = cart.other + cart.third")
    assert time.process_time() - start < 15  # what is quadratic takes minutes


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=20))
def test_no_text_breaks_it(prefix, suggestion, suffix):
    missing(prefix, suggestion, suffix)
    missing(f"import {{ {prefix}", suggestion, f"{suffix} }} from './cart'")
    missing(f"{SPACE}{prefix}cart.", suggestion, suffix)
