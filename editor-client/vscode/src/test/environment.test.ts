import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Building, buildEnvironment, stepOf } from "../environment";
import { Aborted, inEnvironment, type Run, run } from "../programs";
import { isAlive, until } from "./waiting";

let root: string;
let ran: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "environment-"));
  ran = [];
  mkdirSync(join(root, "packages"));
  writeFileSync(join(root, "packages", "server-1-py3-none-any.whl"), "");
});
afterEach(() => rmSync(root, { recursive: true }));

const fake: Run = async (command, args) => {
  ran.push([command, ...args].join(" ").replaceAll(root, "~"));
  if (command === "/bin/python3") throw new Error("too old");
  if (args.includes("venv")) mkdirSync(join(root, "env"));
  return "";
};

function building(programs: string[], change: Partial<Building> = {}): Building {
  const find = (name: string) => (programs.includes(name) ? `/bin/${name}` : undefined);
  const [folder, packages] = [join(root, "env"), join(root, "packages")];
  return { folder, packages, run: fake, report: () => {}, find, ...change };
}

const WHEEL = "-c ~/packages/constraints.txt ~/packages/server-1-py3-none-any.whl";
const PYTHON = inEnvironment("~/env", "python");

test("uv is preferred", async () => {
  await buildEnvironment(building(["uv", "python3"]));
  assert.deepEqual(ran, [
    "/bin/uv venv --python >=3.10 ~/env",
    `/bin/uv pip install --python ${PYTHON} ${WHEEL}`,
  ]);
});

test("without uv it is the first Python that is new enough, and pip", async () => {
  await buildEnvironment(building(["python3", "python3.12"]));
  const [, , venv, install] = ran;
  assert.equal(ran.length, 4);
  assert.equal(venv, "/bin/python3.12 -m venv ~/env");
  assert.match(install ?? "", /python -m pip install --no-input .* -c ~/);
  assert.ok(install?.endsWith(WHEEL));
});

test("without Python the error says what was looked for and what helps", async () => {
  await assert.rejects(
    buildEnvironment(building(["python3"])),
    /Python 3.10 or newer with venv is missing \(looked for uv, python3, .*python3-venv.*set longllama.server.command/,
  );
});

test("the last step of a pull is told, and nothing of other output", () => {
  const [begun, further] = [" 8 % download 39.3 of 491.4 MB", "57 % download 280.1 of 491.4 MB"];
  assert.equal(stepOf(`${begun}\n${further}\n`), further);
  assert.equal(
    stepOf(`Collecting torch\n${begun}, 12.0 MB/s, 0:38 left\n`)?.slice(0, 12),
    "8 % download",
  );
  assert.equal(stepOf("Collecting torch (12 % off)\n"), undefined);
});

test("a program that fails tells what it said", async () => {
  const node = process.execPath;
  await assert.rejects(run(node, ["-e", "console.error('why'); process.exit(3)"]), /with 3: why/);
});

test("a program that is aborted ends, and so do those that it started", async () => {
  const waits = "setInterval(() => {}, 60000)";
  const starts = `const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, ["-e", ${JSON.stringify(waits)}]);
    console.log("pid", child.pid); ${waits}`;
  const abort = new AbortController();
  let said = "";
  const log = (text: string) => {
    said += text;
    if (said.includes("\n")) abort.abort();
  };
  const work = run(process.execPath, ["-e", starts], { log, signal: abort.signal });
  await assert.rejects(work, (error) => error instanceof Aborted && /aborted/.test(error.message));
  const pid = Number(said.match(/pid (\d+)/)?.[1]);
  await until(() => !isAlive(pid));
});

test("what is aborted before it began is not begun", async () => {
  await assert.rejects(run("/none", [], { signal: AbortSignal.abort() }), Aborted);
});
