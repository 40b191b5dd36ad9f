import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { findServer, type Places } from "../find";
import { beside, inEnvironment } from "../programs";

let root: string;
let places: Places;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "find-"));
  places = {
    command: [],
    selected: undefined,
    folders: [join(root, "ws")],
    isTrusted: true,
    managed: join(root, "managed"),
    path: join(root, "path"),
  };
});
afterEach(() => rmSync(root, { recursive: true }));

/** A program that can be run. */
function program(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  chmodSync(path, 0o755);
  return path;
}

function serverIn(folder: string): string {
  return program(inEnvironment(join(root, folder), "longllama-lsp"));
}

test("without any there is none", () => {
  assert.equal(findServer(places), undefined);
});

test("the setting wins, with its arguments", () => {
  serverIn("ws/.venv");
  const own = program(join(root, "own"));
  const server = findServer({ ...places, command: [own, "-v"] });
  assert.deepEqual(server, { command: own, args: ["-v"], origin: "longllama.server.command" });
});

test("a setting that names no program is an error that says so", () => {
  const command = [join(root, "absent")];
  assert.throws(() => findServer({ ...places, command }), /absent": there is no such program/);
});

test("the selected environment comes before those of the workspace, PATH and our own", () => {
  const managed = serverIn("managed");
  assert.equal(findServer(places)?.command, managed);
  const onPath = program(join(root, "path", "longllama-lsp"));
  assert.equal(findServer(places)?.command, onPath);
  const env = serverIn("ws/env");
  assert.equal(findServer(places)?.command, env);
  const venv = serverIn("ws/.venv");
  assert.equal(findServer(places)?.command, venv);
  const selected = serverIn("selected");
  assert.equal(findServer({ ...places, selected: join(root, "selected") })?.command, selected);
});

test("nothing of an untrusted workspace runs", () => {
  serverIn("ws/.venv");
  assert.equal(findServer({ ...places, isTrusted: false }), undefined);
});

test("a file that cannot be run is no server, nor is a relative entry of PATH", () => {
  const path = serverIn("ws/.venv");
  chmodSync(path, 0o644);
  assert.equal(findServer(places), undefined);
  program(join(process.cwd(), "dist-test", "longllama-lsp"));
  assert.equal(findServer({ ...places, path: "dist-test" }), undefined);
});

test("a program beside another is found by its path, and by a name on the PATH", () => {
  const server = serverIn("ws/.venv");
  const wanted = inEnvironment(join(root, "ws", ".venv"), "longllama");
  assert.equal(beside(server, "longllama"), wanted);
  const path = process.env.PATH;
  process.env.PATH = dirname(server);
  assert.equal(beside("longllama-lsp", "longllama"), wanted);
  process.env.PATH = path;
});
