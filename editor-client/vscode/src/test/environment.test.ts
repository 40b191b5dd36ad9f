import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Building, buildEnvironment, stepOf } from "../environment";
import { inEnvironment, type Run, run } from "../programs";

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
const PULL = `${inEnvironment("~/env", "longllama")} pull`;

test("uv is preferred", async () => {
  await buildEnvironment(building(["uv", "python3"]));
  assert.deepEqual(ran, [
    "/bin/uv venv --python >=3.10 ~/env",
    `/bin/uv pip install --python ${PYTHON} ${WHEEL}`,
    PULL,
  ]);
});

test("without uv it is the first Python that is new enough, and pip", async () => {
  await buildEnvironment(building(["python3", "python3.12"]));
  const [, , venv, install, pull] = ran;
  assert.equal(ran.length, 5);
  assert.equal(venv, "/bin/python3.12 -m venv ~/env");
  assert.match(install ?? "", /python -m pip install --no-input .* -c ~/);
  assert.ok(install?.endsWith(WHEEL));
  assert.equal(pull, PULL);
});

test("without Python the error says what was looked for and what helps", async () => {
  await assert.rejects(
    buildEnvironment(building(["python3"])),
    /Python 3.10 or newer is missing \(looked for uv, python3, .*set longllama.server.command/,
  );
});

test("half an environment does not stay", async () => {
  const failing: Run = async (command, args) => {
    if (args.includes("pull")) throw new Error("no network");
    return fake(command, args);
  };
  await assert.rejects(buildEnvironment(building(["uv"], { run: failing })), /no network/);
  assert.equal(existsSync(join(root, "env")), false);
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

test("a program that fails tells what it said; one that is aborted ends", async () => {
  const node = process.execPath;
  await assert.rejects(run(node, ["-e", "console.error('why'); process.exit(3)"]), /with 3: why/);
  const signal = AbortSignal.timeout(100);
  await assert.rejects(run(node, ["-e", "setTimeout(() => {}, 60000)"], { signal }), /abort/i);
});
