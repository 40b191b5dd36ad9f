import assert from "node:assert/strict";
import { test } from "node:test";
import { installOffer, isDue } from "../installOffer";
import type { Status } from "../protocol";
import {
  inWords,
  remediesBesideRepair,
  remediesOf,
  remediesOfNone,
  retry,
  UPDATE,
} from "../remedies";
import type { Condition } from "../status";

const failed = (message: string): Status => ({
  kind: "Error",
  phase: "failed",
  message,
  files: { in_memory: 0, waiting: 0, left_out: 0, tokens: 0 },
  engine_restarts: 0,
  last_reason: null,
});

const labels = (condition: Condition, isOwn = false) =>
  remediesOf(condition, isOwn).map(({ label }) => label);

// As the server words them.
const NOT_PULLED = "model 'coder-0.5b' is not here yet: run `longllama pull coder-0.5b`";
const NO_FOLDER =
  "'/models/gone' is neither a model (coder-0.5b, mini; owner/name of the model hub) nor a folder " +
  "with a config.json or a GGUF file: correct the name (`longllama models` lists them), or give " +
  "the path of a checkpoint folder";

test("a model that was never fetched can be fetched, or another chosen", () => {
  assert.deepEqual(labels(failed(NOT_PULLED)), ["Fetch the Model", "Choose Another", "Show Log"]);
  assert.equal(inWords(failed(NOT_PULLED)), "the model coder-0.5b is not on this machine.");
});

test("a model folder that is gone is said without a shell's command, and another can be chosen", () => {
  assert.deepEqual(labels(failed(NO_FOLDER)), ["Choose Another", "Retry", "Show Log"]);
  const said = inWords(failed(NO_FOLDER));
  assert.doesNotMatch(said, /`/);
  assert.match(said, /'\/models\/gone' is neither a model nor a folder/);
});

test("our own environment can be repaired where torch cannot be loaded; others are the user's", () => {
  const message = "the engine process cannot be started: No module named 'torch'";
  assert.deepEqual(labels(failed(message), true), ["Repair", "Retry", "Show Log"]);
  assert.deepEqual(labels(failed(message), false), ["Retry", "Show Log"]);
});

test("where a repair failed, there is what a repair would not have solved", () => {
  const of = (message: string) => remediesBesideRepair(failed(message)).map(({ label }) => label);
  assert.deepEqual(of(NOT_PULLED), ["Fetch the Model", "Choose Another"]);
  assert.deepEqual(of(NO_FOLDER), ["Choose Another"]);
  assert.deepEqual(of("the engine process cannot be started: No module named 'torch'"), []);
});

test("what has not failed needs no remedy", () => {
  assert.deepEqual(labels({ phase: "starting", message: "" }), []);
  assert.deepEqual(labels({ ...failed(""), phase: "ready", kind: "Normal" }), []);
});

test("what is asked of a server that does not run says how it would", () => {
  const of = (phase: "absent" | "starting" | "stopped") =>
    remediesOfNone({ phase, message: "" }).map(({ label }) => label);
  assert.deepEqual(of("absent"), ["Install", "Set a Path"]);
  assert.deepEqual(of("starting"), ["Show Log"]);
  assert.deepEqual(of("stopped"), ["Retry", "Show Log"]);
});

test("Retry does the same once more", () => {
  assert.deepEqual(retry(UPDATE), { ...UPDATE, label: "Retry" });
});

test("the first installation says time and bytes, and is put off for a week", () => {
  assert.match(installOffer("darwin"), /5 minutes and 1\.2 GB of disk.*0\.5 GB/);
  assert.match(installOffer("linux"), /some GB more .* CUDA/);
  assert.doesNotMatch(installOffer("darwin"), /CUDA/);
  const week = 7 * 24 * 3_600_000;
  assert.equal(isDue(undefined, 0), true);
  assert.equal(isDue(1000, 1000 + week - 1), false);
  assert.equal(isDue(1000, 1000 + week), true);
});
