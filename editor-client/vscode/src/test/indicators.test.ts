import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { IgnoredSettings } from "../ignoredSettings";
import { OneIndicator } from "../oneIndicator";

const SERVER = join(__dirname, "..", "..", "..", "lsp_server", "notices");
const [MODE, PATH] = ["mode", "path"].map((key) => ({ key, message: `${key} is wrong` }));

test("a setting that is not used is told once, and again once it was mended and is wrong again", () => {
  assert.ok(MODE !== undefined && PATH !== undefined);
  const settings = new IgnoredSettings();
  const steps = [[MODE], [MODE], [MODE, PATH], [PATH], [], [], [MODE]].map((now) =>
    settings.note(now),
  );
  assert.deepEqual(
    steps.map(({ news }) => news),
    [[MODE], [], [PATH], [], [], [], [MODE]],
  );
  assert.deepEqual(
    steps.map(({ areMended }) => areMended),
    [false, false, false, false, true, false, false],
  );
});

test("another wrong value of the same setting is told", () => {
  const settings = new IgnoredSettings();
  settings.note([{ key: "mode", message: "mode is 'a'" }]);
  assert.equal(settings.note([{ key: "mode", message: "mode is 'b'" }]).news.length, 1);
});

/** The title that the server gives to a progress bar. */
function title(file: string): string {
  return /bar\.begin\(\s*f?"([^"]+)"/.exec(readFileSync(join(SERVER, file), "utf8"))?.[1] ?? "";
}

test("the server's progress of reading is not shown a second time", () => {
  const indicator = new OneIndicator();
  const begin = { kind: "begin", title: title("indexing_progress.py") } as const;
  assert.notEqual(begin.title, "");
  assert.equal(indicator.shows("a", begin), false);
  assert.equal(indicator.shows("a", { kind: "report" }), false);
  assert.equal(indicator.shows("a", { kind: "end" }), false);
});

test("every other progress is shown, under a number used before, too", () => {
  const indicator = new OneIndicator();
  indicator.shows(1, { kind: "begin", title: "Indexing" });
  indicator.shows(1, { kind: "end" });
  const begin = { kind: "begin", title: title("model_fetch.py") } as const;
  assert.match(begin.title, /^Fetching/);
  for (const progress of [begin, { kind: "report" } as const, { kind: "end" } as const])
    assert.equal(indicator.shows(1, progress), true);
});
