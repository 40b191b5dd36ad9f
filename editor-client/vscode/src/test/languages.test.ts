import assert from "node:assert/strict";
import { test } from "node:test";
import { isEnabled, type Languages, nameOf, toggled } from "../languages";

const DEFAULT = { "*": true };

test("a language is on by its own entry, or else by that of all others", () => {
  assert.equal(isEnabled({}, "go"), true);
  assert.equal(isEnabled({ "*": false }, "go"), false);
  assert.equal(isEnabled({ "*": false, go: true }, "go"), true);
});

test("turned off and on again, nothing is left in the settings", () => {
  const off = toggled({}, DEFAULT, "python", false);
  assert.deepEqual(off, { python: false });
  assert.equal(toggled(off ?? {}, DEFAULT, "python", true), undefined);
});

test("entries of other languages stay", () => {
  assert.deepEqual(toggled({ go: false, python: false }, DEFAULT, "python", true), { go: false });
  assert.deepEqual(toggled({ go: false }, DEFAULT, "python", false), { go: false, python: false });
});

test("what another place turns off is turned on by an entry", () => {
  assert.deepEqual(toggled({}, { "*": true, go: false }, "go", true), { go: true });
  assert.deepEqual(toggled({ "*": false }, DEFAULT, "go", true), { "*": false, go: true });
});

test("whatever the places say, the language is then as it was wanted, and the others as before", () => {
  const values = [undefined, true, false];
  const places = values.flatMap((star) =>
    values.flatMap((go) => values.map((c) => ({ "*": star, go, c }))),
  );
  const said = (one: object) =>
    Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined)) as Languages;
  for (const own of places.map(said)) {
    for (const below of places.map(said)) {
      for (const isOn of [true, false]) {
        const after = { ...below, ...toggled(own, below, "go", isOn) };
        assert.equal(isEnabled(after, "go"), isOn);
        for (const other of ["c", "rust"])
          assert.equal(isEnabled(after, other), isEnabled({ ...below, ...own }, other));
      }
    }
  }
});

test("a language is called as the extension that brings it calls it", () => {
  const extensions = [
    {},
    { contributes: { languages: [{ id: "python" }, { aliases: ["Nobody"] }] } },
    { contributes: { languages: [{ id: "python", aliases: ["Python", "py"] }] } },
  ];
  assert.equal(nameOf("python", extensions), "Python");
  assert.equal(nameOf("zig", extensions), "zig");
});
