import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../backoff";
import { bytes, compact, sentence } from "../numbers";
import { pathOf } from "../paths";
import { plainMarkdown } from "../plainMarkdown";

test("numbers are short", () => {
  assert.deepEqual([0, 999, 1_000, 34_567, 123_456].map(compact), [
    "0",
    "999",
    "1.0k",
    "34.6k",
    "123k",
  ]);
  assert.deepEqual([999, 1_500, 2_000_000, 1_117_320_000].map(bytes), [
    "999 B",
    "1.5 kB",
    "2.0 MB",
    "1.1 GB",
  ]);
});

test("a text is shown as it is where Markdown is wanted, and its lines can break at blanks", () => {
  const shown = plainMarkdown("press Alt+\\, or *raise* a_b_c\n    # <b> 1. https://x.y/z `c`");
  assert.equal(
    shown,
    "press Alt\\+\\\\\\, or \\*raise\\* a\\_b\\_c\n\n" +
      "\\# \\<b\\> 1\\. https\\:\\/\\/x\\.y\\/z \\`c\\`",
  );
});

test("a message becomes a sentence", () => {
  assert.equal(sentence("turned off"), "Turned off.");
  assert.equal(sentence("The log says why."), "The log says why.");
  assert.equal(sentence(""), "");
});

test("names in memory lead back to paths, in one folder and in several", () => {
  const [a, b] = [
    { name: "a", path: "/w/a" },
    { name: "b", path: "/w/b" },
  ];
  assert.equal(pathOf("x/y.py", [a]), "/w/a/x/y.py");
  assert.equal(pathOf("a/x.py", [a]), "/w/a/a/x.py");
  assert.equal(pathOf("b/x/y.py", [a, b]), "/w/b/x/y.py");
  assert.equal(pathOf("/w/twin/x.py", [a, b]), "/w/twin/x.py");
});

test("a server that keeps ending is started ever later, and at last no more", () => {
  const backoff = new Backoff(() => 0);
  const delays = Array.from({ length: 6 }, () => backoff.next());
  assert.deepEqual(delays, [500, 2_000, 5_000, 15_000, undefined, undefined]);
});

test("a server that lived long begins anew", () => {
  let now = 0;
  const backoff = new Backoff(() => now);
  backoff.next();
  backoff.started();
  now = 119_999;
  assert.equal(backoff.next(), 2_000);
  now = 120_000;
  assert.equal(backoff.next(), 500);
  assert.equal(backoff.ends, 1);
});
