import assert from "node:assert/strict";
import { test } from "node:test";
import { Steps } from "../steps";

test("one line says how far both are", () => {
  const lines: string[] = [];
  const steps = new Steps((line) => lines.push(line));
  steps.set("server", "installing the server and torch with uv");
  steps.detail("server", "torch (190.1MiB)");
  steps.set("model", " 8 % download 39.3 of 491.4 MB".trim());
  steps.detail("server", undefined); // output that says nothing new
  steps.set("model", undefined);
  steps.set("server", "starting the new server");
  steps.set("server", "");
  steps.set("model", "");
  assert.deepEqual(lines, [
    "installing the server and torch with uv",
    "installing the server and torch with uv: torch (190.1MiB)",
    "installing the server and torch with uv: torch (190.1MiB); model: 8 % download 39.3 of 491.4 MB",
    "starting the new server; model: 8 % download 39.3 of 491.4 MB",
    "model: 8 % download 39.3 of 491.4 MB",
    "",
  ]);
});

test("what a program says when nothing is being done is not shown", () => {
  const lines: string[] = [];
  new Steps((line) => lines.push(line)).detail("server", "torch");
  assert.deepEqual(lines, []);
});
