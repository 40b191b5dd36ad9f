import assert from "node:assert/strict";
import { test } from "node:test";
import { choices } from "../menu";
import type { Status } from "../protocol";
import { type Condition, present } from "../status";

function status(change: Partial<Status> = {}): Status {
  return {
    kind: "Normal",
    phase: "ready",
    message: "the repository is in memory",
    files: { in_memory: 12, waiting: 0, left_out: 2, tokens: 34_567 },
    engine_restarts: 0,
    last_reason: null,
    ...change,
  };
}

const INDEXING = status({
  phase: "indexing",
  files: { in_memory: 5, waiting: 7, left_out: 0, tokens: 1_200 },
  tokens_per_second: 900,
  seconds_left: 1,
});

const TEXTS: [Condition, string][] = [
  [{ phase: "starting", message: "" }, "$(loading~spin) LongLLaMA: loading"],
  [{ phase: "installing", message: "" }, "$(loading~spin) LongLLaMA: installing"],
  [{ phase: "stopped", message: "" }, "$(error) LongLLaMA: problem"],
  [status({ phase: "loading" }), "$(loading~spin) LongLLaMA: loading"],
  [INDEXING, "$(sync~spin) LongLLaMA 42 % (5/12 files)"],
  [status(), "$(pass) LongLLaMA 34.6k tokens"],
  [status({ phase: "paused" }), "$(debug-pause) LongLLaMA: paused"],
  [status({ phase: "off" }), "$(circle-slash) LongLLaMA: off"],
  [status({ phase: "failed" }), "$(error) LongLLaMA: problem"],
];

for (const [condition, text] of TEXTS) {
  test(`the bar says of ${condition.phase}: ${text}`, () => {
    assert.equal(present(condition).text, text);
  });
}

test("indexing before any file was found is at nothing", () => {
  const files = { in_memory: 0, waiting: 0, left_out: 0, tokens: 0 };
  assert.match(present(status({ phase: "indexing", files })).text, / 0 % \(0\/0 files\)$/);
});

test("the tooltip counts files, speed, restarts, and names the last reason", () => {
  assert.equal(
    present({ ...INDEXING, engine_restarts: 1, last_reason: "line_suffix" }).detail,
    [
      "indexing: the repository is in memory",
      "5 files in memory (1,200 tokens), 7 waiting",
      "900 tokens a second, about 1 second left",
      "The model's process was started again 1 time.",
      "Last request: no suggestion, line suffix.",
    ].join("\n\n"),
  );
});

test("a problem is coloured and gives its reason; a restart is a warning", () => {
  const failed = present(status({ phase: "failed", kind: "Error", message: "no such model" }));
  assert.equal(failed.severity, "error");
  assert.match(failed.detail, /no such model/);
  assert.equal(present(status({ phase: "loading", kind: "Warning" })).severity, "warning");
  assert.equal(present({ phase: "stopped", message: "no server" }).detail, "no server");
});

test("a language that is off shows, unless all is off or the server is away", () => {
  const off = { go: false };
  assert.match(present(status(), "go", off).detail, /off for go/);
  assert.match(present(status(), "python", off).text, /tokens/);
  assert.doesNotMatch(present(status({ phase: "off" }), "go", off).detail, /off for go/);
  assert.match(present({ phase: "starting", message: "" }, "go", off).text, /loading/);
});

test("a server that tells its languages knows better than the editor's settings", () => {
  const languages = { go: false };
  assert.match(present(status({ languages }), "go", { go: true }).detail, /off for go/);
  assert.match(present(status({ languages: {} }), "go", languages).text, /tokens/);
});

function commands(condition: Condition): string[] {
  return choices(condition, undefined).map(({ command }) => command.replace("longllama-code.", ""));
}

test("the menu offers what helps now", () => {
  const always = ["toggle", "diagnose", "restart", "showLog"];
  assert.deepEqual(commands(INDEXING), ["explain", "showMemory", "pause", ...always]);
  assert.deepEqual(
    commands(status({ phase: "paused" }))
      .slice(0, 3)
      .at(-1),
    "resume",
  );
  assert.deepEqual(commands(status()).slice(0, 4), ["explain", "showMemory", "reindex", "clear"]);
  assert.deepEqual(commands(status({ phase: "off" })), always);
  assert.equal(commands({ phase: "stopped", message: "" })[0], "installServer");
  const lacking = status({ phase: "failed", message: "run `longllama pull coder-0.5b`" });
  assert.equal(commands(lacking)[0], "fetchModel");
  assert.ok(choices(lacking, undefined)[0]?.label.endsWith("Fetch the model coder-0.5b"));
  assert.notEqual(commands(status({ phase: "failed", message: "CUDA" }))[0], "fetchModel");
});

test("the menu names the language of the active editor", () => {
  assert.ok(choices(status(), "go").some(({ label }) => label.endsWith("off for go")));
});
