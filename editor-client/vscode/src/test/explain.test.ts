import assert from "node:assert/strict";
import { test } from "node:test";
import { heading, ownItem, reasonItem, reasons, rows, suggestionItem } from "../explain";
import type { Definition, Explanation, Source } from "../protocol";

const SOURCE: Source = { path: "harbour/pilots.py", first_line: 2, last_line: 4, mass: 0.414 };
const DEFINITION: Definition = {
  path: "harbour/ship.py",
  name: "Ship.dues",
  first_line: 3,
  last_line: 3,
  reason: "what stands before the cursor: ship",
  is_named: true,
};
const TEXT = "import os\r\n\r\n  MAX_PILOTED_TONNES = 5\r\ndef f():\r\n    pass\r\n";

function explanation(change: Partial<Explanation> = {}): Explanation {
  return { id: "s1", reason: null, sources: [], definitions: [], ...change };
}

test("a source shows its file, line and share before all else", () => {
  assert.deepEqual(reasonItem(SOURCE, TEXT), {
    label: "pilots.py:2  41 %",
    description: "MAX_PILOTED_TONNES = 5  ·  harbour",
    code: "\n  MAX_PILOTED_TONNES = 5\ndef f():",
    about: "harbour/pilots.py:2-4",
  });
});

test("however long a line and a folder are, they stand behind the name of the file", () => {
  const path = `${"deep/".repeat(40)}pilots.py`;
  const item = reasonItem({ ...SOURCE, path }, `\n${"x".repeat(500)}\n`);
  assert.equal(item.label, "pilots.py:2  41 %");
});

test("a source of a file that is gone, or without a folder, shows its place", () => {
  const item = reasonItem({ ...SOURCE, path: "a.py", last_line: 2 }, undefined);
  assert.deepEqual(item, { label: "a.py:2  41 %", description: "", code: "", about: "a.py:2" });
  assert.equal(reasonItem({ ...SOURCE, first_line: 90, last_line: 91 }, TEXT).code, "");
});

test("a definition shows its name, and its tooltip why the model was shown it", () => {
  assert.deepEqual(reasonItem({ ...DEFINITION, share: 0.256 }, TEXT), {
    label: "ship.py:3  26 %",
    description: "Ship.dues  ·  harbour",
    code: "  MAX_PILOTED_TONNES = 5",
    about:
      "harbour/ship.py:3, shown to the model: what stands before the cursor: ship, " +
      "named in the suggestion",
  });
});

test("a share that an older server does not tell is not made up", () => {
  assert.equal(reasonItem(DEFINITION, TEXT).label, "ship.py:3");
  assert.equal(reasonItem({ ...DEFINITION, share: null }, TEXT).label, "ship.py:3");
});

test("what weighs most comes first, and what is next to nothing is left out", () => {
  const sources = [0.1, 0.004, 0.5].map((mass) => ({ ...SOURCE, mass }));
  const definitions = [{ ...DEFINITION, share: 0.3 }];
  const shares = reasons(explanation({ sources, definitions })).map((one) =>
    "mass" in one ? one.mass : one.share,
  );
  assert.deepEqual(shares, [0.5, 0.3, 0.1]);
});

test("without shares, what the suggestion names stands first, what was merely shown last", () => {
  const other = { ...DEFINITION, name: "moor", is_named: false };
  const found = reasons(explanation({ sources: [SOURCE], definitions: [other, DEFINITION] }));
  assert.deepEqual(found, [DEFINITION, SOURCE, other]);
  assert.deepEqual(reasons(null), []);
});

test("the suggestion stands above its reasons, the model's own share below", () => {
  const full = explanation({ text: "moor(ship)", sources: [SOURCE], ownShare: 0.586 });
  assert.deepEqual(
    rows(full).map(({ kind }) => kind),
    ["suggestion", "reason", "own"],
  );
  assert.deepEqual(rows(explanation({ text: "", ownShare: null })), []);
  assert.deepEqual(rows(null), []);
});

test("the rows of suggestion and model", () => {
  assert.equal(ownItem(0.586).label, "The model itself and this file: 59 %");
  const item = suggestionItem("\n    return moor(\n        ship)\n");
  assert.equal(item.label, "“return moor(”");
  assert.equal(item.description, "4 lines");
  assert.equal(suggestionItem("PILOTED").description, "");
});

test("the heading tells apart what there is to say", () => {
  assert.equal(heading(null), "Nothing was suggested yet.");
  assert.match(heading(explanation()), /no other file/);
  assert.match(heading(explanation({ sources: [SOURCE] })), /strongest first/);
  assert.match(heading(explanation({ reason: "inside_line" })), /^No suggestion: .*; to have one/);
  assert.match(heading(explanation({ sources: [SOURCE] }), true), /earlier suggestion/);
});
