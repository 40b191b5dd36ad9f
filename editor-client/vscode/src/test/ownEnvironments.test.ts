import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Own, OwnEnvironments, removeTree } from "../ownEnvironments";
import { inEnvironment } from "../programs";

let storage: string;
let ours: OwnEnvironments;

beforeEach(() => {
  storage = mkdtempSync(join(tmpdir(), "own-"));
  ours = new OwnEnvironments(storage);
});
afterEach(() => rmSync(storage, { recursive: true, force: true }));

function putServer(environment: string): void {
  const path = inEnvironment(environment, "longllama-lsp");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  chmodSync(path, 0o755);
}

async function built(version: string, of = ours): Promise<Own> {
  const own = await of.begin();
  putServer(own.environment);
  return of.finish(own, version);
}

/** Of a window that is gone. */
function closed(): OwnEnvironments {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  return new OwnEnvironments(storage, undefined, pid);
}

test("without any there is none", () => {
  assert.equal(ours.current(), undefined);
});

test("what is being built is not found, what is complete is", async () => {
  const own = await ours.begin();
  putServer(own.environment);
  assert.equal(ours.current(), undefined);
  await ours.finish(own, "0.2.0");
  assert.equal(ours.current()?.environment, own.environment);
  assert.equal(ours.current()?.version, "0.2.0");
});

test("the newest counts, even if the clock went back, and the one before where it lost its server", async () => {
  const [before, after] = [await built("0.1.0"), await built("0.2.0")];
  assert.ok(after.finished > before.finished);
  assert.equal(ours.current()?.version, "0.2.0");
  rmSync(after.environment, { recursive: true });
  assert.equal(ours.current()?.version, "0.1.0");
});

test("an environment of version 0.1 is found until there is a newer", async () => {
  putServer(join(storage, "server-0.1.0"));
  assert.equal(ours.current()?.environment, join(storage, "server-0.1.0"));
  assert.equal(ours.current()?.version, "0.1.0");
  await built("0.2.0");
  assert.equal(ours.current()?.version, "0.2.0");
  await ours.removeUnused();
  assert.equal(existsSync(join(storage, "server-0.1.0")), false);
});

test("other folders of the storage are not ours to remove", async () => {
  mkdirSync(join(storage, "notes"));
  writeFileSync(join(storage, "state.json"), "{}");
  await built("0.2.0");
  await ours.removeUnused();
  assert.deepEqual(readdirSync(storage).sort(), ["e", "notes", "state.json"]);
});

test("one that a window uses stays, until it is released or the window is gone", async () => {
  const [old, gone] = [await built("0.1.0"), await built("0.1.1", closed())];
  const current = await built("0.2.0");
  await ours.removeUnused();
  assert.equal(existsSync(old.folder), true);
  assert.equal(existsSync(gone.folder), false);
  await ours.release(old);
  await ours.removeUnused();
  assert.deepEqual(readdirSync(join(storage, "e")), [current.folder.split(/[\\/]/).at(-1)]);
});

test("the claim of a window on another machine holds for days", async () => {
  const other = new OwnEnvironments(storage, "some-other-machine", 1);
  const old = await built("0.1.0", other);
  await built("0.2.0");
  await ours.removeUnused();
  assert.equal(existsSync(old.folder), true);
  const longAgo = new Date(Date.now() - 30 * 24 * 3_600_000);
  utimesSync(join(old.folder, "used-some-other-machine-1"), longAgo, longAgo);
  await ours.removeUnused();
  assert.equal(existsSync(old.folder), false);
});

test("what another window begins to build stays; what it left unfinished goes", async () => {
  const unclaimed = join(storage, "e", "xAbCdE");
  mkdirSync(unclaimed, { recursive: true });
  const unfinished = await closed().begin();
  await ours.removeUnused();
  assert.equal(existsSync(unclaimed), true);
  assert.equal(existsSync(unfinished.folder), false);
  const longAgo = new Date(Date.now() - 3_600_000);
  utimesSync(unclaimed, longAgo, longAgo);
  await ours.removeUnused();
  assert.equal(existsSync(unclaimed), false);
});

test("what was half deleted when the window closed is deleted later", async () => {
  const rest = join(storage, "e", "removed-xAbCdE", "v", "lib");
  mkdirSync(rest, { recursive: true });
  await ours.removeUnused();
  assert.deepEqual(readdirSync(join(storage, "e")), []);
});

test("the event loop goes on while a folder is deleted", async () => {
  const folder = join(storage, "large");
  for (let i = 0; i < 20; i++) {
    mkdirSync(join(folder, `${i}`), { recursive: true });
    for (let j = 0; j < 50; j++) writeFileSync(join(folder, `${i}`, `${j}`), "");
  }
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  await removeTree(folder);
  isDone = true;
  assert.equal(existsSync(folder), false);
  assert.ok(turns > 100, `${turns} turns of the event loop while 1,000 files were deleted`);
});
