import assert from "node:assert/strict";
import { test } from "node:test";
import type { Counts, Statistics } from "../protocol";
import { cleared, type StatisticsNode, statisticsTree } from "../statistics";

const counts = (change: Partial<Counts> = {}): Counts => ({
  shown: 10,
  accepted: 4,
  partly_accepted: 1,
  typed_out: 1,
  typed_over: 3,
  left: 0,
  open: 1,
  after_30_s: { there: 4, gone: 1 },
  after_5_min: { there: 0, gone: 0 },
  ...change,
});
const NONE = counts({ shown: 0, accepted: 0 });
const STATISTICS: Statistics = {
  enabled: true,
  total: counts(),
  languages: [counts({ name: "python" })],
  lengths: [counts({ name: "11 to 30" })],
  latencies: [counts({ name: "up to 0.1 s" })],
  clients: [counts({ name: "over LSP" }), counts({ name: "over HTTP (sent)" })],
  days: [counts({ name: "2026-11-29" }), counts({ name: "2026-11-30", accepted: 10 })],
};

const labels = (nodes: StatisticsNode[] | undefined) => nodes?.map(({ label }) => label);

test("the first node is all of them, with what became of them", () => {
  const [all] = statisticsTree(STATISTICS);
  assert.equal(all?.description, "40 % accepted of 10 shown");
  assert.deepEqual(
    all?.children.map(({ label, description }) => `${label}: ${description}`),
    [
      "accepted: 4 (40 %)",
      "accepted in part: 1 (10 %)",
      "typed out: 1 (10 %)",
      "typed over: 3 (30 %)",
      "left: 1 (10 %)",
      "still there after 30 s: 4 of 5 (80 %)",
    ],
  );
});

test("groups follow, each member with a bar; of days, the last comes first", () => {
  const [, ...groups] = statisticsTree(STATISTICS);
  assert.deepEqual(labels(groups), [
    "By language",
    "By length in characters",
    "By time to the answer",
    "By client",
    "By day",
  ]);
  const days = groups.at(-1)?.children;
  assert.deepEqual(labels(days), ["2026-11-30", "2026-11-29"]);
  assert.equal(days?.[0]?.description, `100 % ${"█".repeat(6)} accepted of 10 shown`);
  assert.match(days?.[1]?.description ?? "", /^40 % █{2}░{4} accepted/);
});

test("without any, and while counting is off, it says so", () => {
  const empty = { ...STATISTICS, total: NONE };
  assert.deepEqual(labels(statisticsTree(empty)), ["No suggestion was counted yet"]);
  const off = statisticsTree({ ...empty, enabled: false });
  assert.deepEqual(labels(off), ["Counting is off", "No suggestion was counted yet"]);
});

test("clearing says how many went, or why none did", () => {
  assert.match(cleared({ n_removed: 1 }), /^1 suggestion /);
  assert.match(cleared({ n_removed: 1200 }), /^1,200 suggestions /);
  assert.match(cleared({ n_removed: null }), /cannot/);
});
