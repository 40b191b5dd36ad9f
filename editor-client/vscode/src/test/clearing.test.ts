import assert from "node:assert/strict";
import { test } from "node:test";
import { removed } from "../clearing";

test("what was removed is told in bytes, and that nothing is left", () => {
  assert.equal(
    removed({ n_bytes: 94_300_000, kept_bytes: 0, problem: null }),
    "94.3 MB were removed. Nothing is stored any more. The memory is empty, and reading is paused.",
  );
});

test("what other windows use is told", () => {
  const said = removed({ n_bytes: 0, kept_bytes: 1_500_000, problem: null });
  assert.match(said, /^0 B were removed. 1.5 MB that other windows use stay/);
});

test("if nothing could be removed, the reason is told, and not that reading is paused", () => {
  const said = removed({ n_bytes: 0, kept_bytes: 0, problem: "the engine is not running" });
  assert.equal(said, "Nothing was removed: the engine is not running.");
});
