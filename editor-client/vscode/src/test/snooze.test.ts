import assert from "node:assert/strict";
import { test } from "node:test";
import { choices } from "../menu";
import type { Status } from "../protocol";
import { snoozeChoices } from "../snooze";
import { present, type Surroundings } from "../status";

const AROUND: Surroundings = { languages: {}, isOn: true, hasFolder: true };
const READY: Status = {
  kind: "Normal",
  phase: "ready",
  message: "the repository is in memory",
  files: { in_memory: 1, waiting: 0, left_out: 0, tokens: 10 },
  engine_restarts: 0,
  last_reason: null,
};
const SNOOZED: Status = {
  ...READY,
  message: "the repository is in memory; snoozed, 14 min left",
  snooze_minutes_left: 14,
};

const offered = (condition: Status) =>
  choices(condition, AROUND).filter(({ command }) => command.endsWith(".snooze"));

test("the status bar says how long it is quiet, without a folder too", () => {
  assert.equal(present(SNOOZED, AROUND).text, "$(bell-slash) LongLLaMA: snoozed 14 min");
  assert.match(present(SNOOZED, AROUND).detail, /snoozed, 14 min left\./);
  const alone = { ...AROUND, hasFolder: false };
  assert.equal(present(SNOOZED, alone).text, "$(bell-slash) LongLLaMA: snoozed 14 min");
  assert.match(present(SNOOZED, alone).detail, /snoozed, 14 min left\./);
});

test("the menu leads to the choice of minutes, or ends it", () => {
  assert.deepEqual(
    offered(READY).map((choice) => choice.arguments),
    [undefined],
  );
  assert.deepEqual(
    offered(SNOOZED).map((choice) => choice.arguments),
    [[0]],
  );
  assert.match(offered(SNOOZED)[0]?.label ?? "", /14 min left/);
});

test("turned off, there is nothing to snooze", () => {
  assert.deepEqual(offered({ ...READY, phase: "off" }), []);
});

test("the palette offers the same, and the end first where it is on", () => {
  assert.deepEqual(
    snoozeChoices(READY).map(({ minutes }) => minutes),
    [5, 15, 60],
  );
  assert.deepEqual(
    snoozeChoices(SNOOZED).map(({ minutes }) => minutes),
    [0, 5, 15, 60],
  );
  assert.deepEqual(snoozeChoices({ phase: "starting", message: "" })[0]?.minutes, 5);
});
