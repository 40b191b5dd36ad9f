import assert from "node:assert/strict";
import { test } from "node:test";
import { Taken } from "../taken";

const TEXT = "count_all(prices)";
const at = (rangeOffset: number, text: string) => [{ rangeOffset, text }];

test("a word that comes at once was accepted, and the next one with it", () => {
  const taken = new Taken("s1", TEXT, 8);
  assert.equal(taken.take(at(8, "count_all")), 9);
  assert.equal(taken.take(at(17, "(prices")), 16);
});

test("keys that type what is suggested accept nothing, and what follows them counts", () => {
  const taken = new Taken("s1", TEXT, 0);
  assert.equal(taken.take(at(0, "c")), undefined);
  assert.equal(taken.take(at(1, "o")), undefined);
  assert.equal(taken.take(at(2, "unt_all(")), 10);
});

test("the whole, other text, another place and several cursors end it", () => {
  for (const changes of [
    at(0, TEXT),
    at(0, "x"),
    at(3, "c"),
    at(0, ""),
    [...at(0, "c"), ...at(0, "o")],
    [],
  ])
    assert.equal(new Taken("s1", TEXT, 0).take(changes), "over");
});

test("one character of two code units is typed", () => {
  assert.equal(new Taken("s1", "😀 smile", 0).take(at(0, "😀")), undefined);
});
