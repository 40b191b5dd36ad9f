import assert from "node:assert/strict";
import { test } from "node:test";
import { choices } from "../menu";
import type { Status } from "../protocol";
import { type Condition, present as presentIn, type Surroundings } from "../status";

const AROUND: Surroundings = { languages: {}, isOn: true, hasFolder: true };
const GO: Surroundings = { ...AROUND, language: { id: "go", name: "Go" } };
const GO_OFF: Surroundings = { ...GO, languages: { go: false } };

function present(condition: Condition, around = AROUND) {
  return presentIn(condition, around);
}

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

const WRONG = {
  key: "longllama.trigger.mode",
  message: `setting longllama.trigger.mode is "aut": choose one of "auto", "manual".`,
};
const INDEXING = status({
  phase: "indexing",
  message: "Reading the repository: 42 %, about 1 min left; suggestions already work",
  files: { in_memory: 5, waiting: 7, left_out: 0, tokens: 1_200 },
  tokens_per_second: 900,
  seconds_left: 1,
  progress: 0.42,
});

const TEXTS: [Condition, string][] = [
  [{ phase: "starting", message: "" }, "$(loading~spin) LongLLaMA: loading"],
  [{ phase: "installing", message: "" }, "$(loading~spin) LongLLaMA: installing"],
  [{ phase: "absent", message: "" }, "$(cloud-download) LongLLaMA: set up"],
  [{ phase: "stopped", message: "" }, "$(error) LongLLaMA: problem"],
  [status({ phase: "loading" }), "$(loading~spin) LongLLaMA: loading"],
  [INDEXING, "$(sync~spin) LongLLaMA: reading 42 %"],
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

test("the first start takes long, and says why", () => {
  assert.match(present(status({ phase: "loading" })).detail, /The first time .* compiled/);
  assert.doesNotMatch(present(status({ phase: "ready" })).detail, /compiled/);
});

test("a share of the work that only the message tells is shown, and none is made up", () => {
  const { progress: _, ...older } = INDEXING;
  assert.equal(present(older).text, "$(sync~spin) LongLLaMA: reading 42 %");
  const silent = { ...older, message: "taking the repository into memory" };
  assert.equal(present(silent).text, "$(sync~spin) LongLLaMA: reading");
  assert.match(present({ ...INDEXING, progress: 0 }).text, /reading 0 %$/);
});

test("a file that is read again after an edit does not take the bar", () => {
  const message = "reading what has changed";
  const edited = status({ phase: "indexing", message, progress: null });
  assert.equal(present(edited).text, "$(pass) LongLLaMA 34.6k tokens");
  assert.match(present(edited).detail, /^Reading what has changed\./);
  assert.equal(present(edited, GO_OFF).text, "$(circle-slash) LongLLaMA: off for Go");
});

test("the tooltip counts files, speed, restarts, and says what helps where nothing was suggested", () => {
  assert.equal(
    present({ ...INDEXING, engine_restarts: 1, last_reason: "repeats_line" }).detail,
    [
      "Reading the repository: 42 %, about 1 min left; suggestions already work.",
      "5 files in memory (1,200 tokens), 7 waiting",
      "900 tokens a second",
      "The model's process was started again 1 time.",
      "The last request had no suggestion: the model only repeated the text behind the cursor; type on.",
    ].join("\n\n"),
  );
});

test("a problem is coloured and gives its reason; a restart is a warning", () => {
  const failed = present(status({ phase: "failed", kind: "Error", message: "no such model" }));
  assert.equal(failed.severity, "error");
  assert.match(failed.detail, /No such model/);
  assert.equal(present(status({ phase: "loading", kind: "Warning" })).severity, "warning");
  assert.equal(present({ phase: "stopped", message: "no server" }).detail, "No server.");
});

test("nothing is a problem that is yet to be: a start, an installation, a server to install", () => {
  for (const phase of ["starting", "installing", "absent"] as const)
    assert.equal(present({ phase, message: "" }).severity, "none");
});

test("a language that is off shows by its name, unless all is off or the server is away", () => {
  const off = present(status(), GO_OFF);
  assert.equal(off.text, "$(circle-slash) LongLLaMA: off for Go");
  assert.match(off.detail, /^Suggestions are off for Go.*\n\nThe repository is in memory/s);
  assert.match(present(status(), { ...GO_OFF, language: { id: "c", name: "C" } }).text, /tokens/);
  assert.match(present(status({ phase: "off" }), GO_OFF).text, /: off$/);
  assert.match(present(status({ phase: "failed" }), GO_OFF).text, /problem/);
  assert.match(present({ phase: "starting", message: "" }, GO_OFF).text, /loading/);
});

test("reading goes on while a language is off, and shows", () => {
  const text = "$(sync~spin) LongLLaMA: off for Go, reading 42 %";
  assert.equal(present(INDEXING, GO_OFF).text, text);
});

test("a server that tells its languages knows better than the editor's settings", () => {
  const languages = { go: false };
  const on = { ...GO, languages: { go: true } };
  assert.match(present(status({ languages }), on).detail, /off for Go/);
  assert.match(present(status({ languages: {} }), GO_OFF).text, /tokens/);
});

test("a window without a folder says so, and what would help", () => {
  const files = { in_memory: 0, waiting: 0, left_out: 0, tokens: 0 };
  const window = { ...AROUND, hasFolder: false };
  const said = present(status({ files }), window);
  assert.equal(said.text, "$(pass) LongLLaMA: no folder");
  assert.match(said.detail, /^No folder is open.*Open a folder/);
  assert.doesNotMatch(said.detail, /repository is in memory/);
  assert.equal(present(status({ files })).text, "$(pass) LongLLaMA: ready");
  assert.match(
    present(status({ phase: "failed", message: "no model" }), window).detail,
    /^No model/,
  );
});

test("settings that are not used show whole, until they are mended", () => {
  const wrong = present(status({ ignored_settings: [WRONG] }));
  assert.equal(wrong.text, "$(warning) LongLLaMA: check settings");
  assert.equal(wrong.severity, "warning");
  assert.match(
    wrong.detail,
    /Setting longllama.trigger.mode is "aut": choose one of "auto", "manual"/,
  );
  assert.equal(present(status({ ignored_settings: [] })).severity, "none");
  assert.match(present({ ...INDEXING, ignored_settings: [WRONG] }).text, /reading 42 %/);
});

function commands(condition: Condition, around = AROUND): string[] {
  return choices(condition, around).map(({ command }) => command.replace("longllama-code.", ""));
}

test("the menu offers what helps now", () => {
  const always = ["toggle", "openSettings", "diagnose", "restart", "showLog"];
  const questions = ["explain", "showMemory", "showStatistics"];
  assert.deepEqual(commands(INDEXING), [...questions, "pause", "snooze", ...always]);
  assert.equal(commands(status({ phase: "paused" }))[3], "resume");
  assert.deepEqual(commands(status()).slice(0, 5), [...questions, "reindex", "clear"]);
  assert.deepEqual(commands(status({ phase: "off" })), always);
  assert.equal(commands({ phase: "absent", message: "" })[0], "installServer");
  const stopped = commands({ phase: "stopped", message: "" });
  assert.equal(stopped[0], "restart");
  assert.equal(stopped.lastIndexOf("restart"), 0);
  const lacking = status({ phase: "failed", message: "run `longllama pull coder-0.5b`" });
  assert.equal(commands(lacking)[0], "fetchModel");
  assert.ok(choices(lacking, AROUND)[0]?.label.endsWith("Fetch the model coder-0.5b"));
  assert.notEqual(commands(status({ phase: "failed", message: "CUDA" }))[0], "fetchModel");
});

function labels(condition: Condition, around: Surroundings): string[] {
  return choices(condition, around).map(({ label }) => label.replace(/^\$\([\w-]+\) /, ""));
}

test("the menu says what a toggle would do, and so how things are", () => {
  const [off, offGo] = ["Turn suggestions off", "Turn suggestions off for Go"];
  assert.ok(labels(status(), GO).includes(off) && labels(status(), GO).includes(offGo));
  assert.ok(labels(status(), GO_OFF).includes("Turn suggestions on for Go"));
  const all = labels(status({ phase: "off" }), GO);
  assert.ok(all.includes("Turn suggestions on"));
  assert.ok(!all.some((label) => label.endsWith("for Go")));
  const away: Condition = { phase: "stopped", message: "" };
  assert.ok(labels(away, { ...GO, isOn: false }).includes("Turn suggestions on"));
});

test("the menu leads to the setting that is not used, and says what is wrong with it", () => {
  const [first] = choices(status({ ignored_settings: [WRONG] }), AROUND);
  assert.equal(first?.command, "longllama-code.openSettings");
  assert.deepEqual(first?.arguments, [WRONG.key]);
  assert.equal(first?.detail, WRONG.message);
});

test("without a folder the menu offers to open one", () => {
  const [first] = commands(status(), { ...AROUND, hasFolder: false });
  assert.equal(first, "workbench.action.files.openFolder");
});
