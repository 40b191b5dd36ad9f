import assert from "node:assert/strict";
import { test } from "node:test";
import { byMass, definitionItem, heading, reasons, sourceItem } from "../explain";
import type { Definition, Source } from "../protocol";

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

test("a source shows its first line with code, its share and its place", () => {
  assert.deepEqual(sourceItem(SOURCE, TEXT), {
    label: "41 %  MAX_PILOTED_TONNES = 5",
    description: "harbour/pilots.py:2-4",
    text: "\n  MAX_PILOTED_TONNES = 5\ndef f():",
  });
});

test("a source of one line, or of a file that is gone, shows its place", () => {
  const item = sourceItem({ ...SOURCE, last_line: 2 }, undefined);
  assert.deepEqual(item, { label: "41 %", description: "harbour/pilots.py:2", text: "" });
  assert.equal(sourceItem({ ...SOURCE, first_line: 90, last_line: 91 }, TEXT).text, "");
});

test("the strongest source comes first, and what is next to nothing is left out", () => {
  const masses = byMass([0.1, 0.004, 0.5, 0.4].map((mass) => ({ ...SOURCE, mass })));
  assert.deepEqual(
    masses.map(({ mass }) => mass),
    [0.5, 0.4, 0.1],
  );
});

test("the heading tells apart what there is to say", () => {
  const explanation = { id: "s1", reason: null, sources: [], definitions: [] };
  assert.equal(heading(null), "Nothing was suggested yet.");
  assert.match(heading(explanation), /nothing in memory/);
  assert.match(heading({ ...explanation, sources: [SOURCE] }), /strongest first/);
  assert.match(heading({ ...explanation, definitions: [DEFINITION] }), /definitions/);
  assert.equal(heading({ ...explanation, reason: "line_suffix" }), "No suggestion: line suffix.");
});

test("a definition shows its name, its place and why the model was shown it", () => {
  assert.deepEqual(definitionItem(DEFINITION, TEXT), {
    label: "named  Ship.dues",
    description: "harbour/ship.py:3  what stands before the cursor: ship",
    text: "  MAX_PILOTED_TONNES = 5",
  });
  assert.equal(definitionItem({ ...DEFINITION, is_named: false }, undefined).label, "Ship.dues");
});

test("what the suggestion names stands first, what was merely shown last", () => {
  const other = { ...DEFINITION, name: "moor", is_named: false };
  const explanation = {
    id: "s1",
    reason: null,
    sources: [SOURCE],
    definitions: [other, DEFINITION],
  };
  assert.deepEqual(reasons(explanation), [DEFINITION, SOURCE, other]);
  assert.deepEqual(reasons(null), []);
});
