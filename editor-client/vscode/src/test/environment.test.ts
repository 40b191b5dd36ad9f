import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import {
  type Building,
  buildEnvironment,
  FETCHING,
  packageOf,
  stepOf,
  uvIndex,
} from "../environment";
import { Aborted, executable, inEnvironment, type Run, run } from "../programs";
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
  if (command === "/bin/python3" && args.includes("-c")) throw new Error("too old");
  if (args.includes("--target")) throw new Error("no index");
  if (args.includes("venv")) mkdirSync(join(root, "env"), { recursive: true });
  return "";
};

function building(programs: string[], change: Partial<Building> = {}): Building {
  const find = (name: string) => (programs.includes(name) ? `/bin/${name}` : undefined);
  const [folder, packages] = [join(root, "env"), join(root, "packages")];
  return { folder, packages, run: fake, report: () => {}, find, ...change };
}

const CONSTRAINTS = "-c ~/packages/constraints.txt";
const WHEEL = "~/packages/server-1-py3-none-any.whl";
const PYTHON = inEnvironment("~/env", "python");
const BY_UV = `/bin/uv pip install --python ${PYTHON} ${CONSTRAINTS}`;
const TORCH_BY_UV = BY_UV.replace(CONSTRAINTS, `--torch-backend auto ${CONSTRAINTS}`);

test("uv is preferred", async () => {
  await buildEnvironment(building(["uv", "python3"]));
  assert.deepEqual(ran, ["/bin/uv venv --python >=3.10 ~/env", `${TORCH_BY_UV} ${WHEEL}`]);
});

test("where torch's own index cannot be reached, it comes from the usual one", async () => {
  const failing: Run = async (command, args) => {
    await fake(command, args);
    if (args.includes("--torch-backend")) throw new Error("dns error");
    return "";
  };
  await buildEnvironment(building(["uv"], { run: failing }));
  assert.deepEqual(ran.slice(1), [`${TORCH_BY_UV} ${WHEEL}`, `${BY_UV} ${WHEEL}`]);
});

test("uv that is not there is fetched by pip, used, and not kept", async () => {
  const uv = join(root, "env-uv", "bin", executable("uv"));
  const having: Run = async (command, args) => {
    if (args.includes("--target")) {
      mkdirSync(dirname(uv), { recursive: true });
      writeFileSync(uv, "", { mode: 0o755 });
      ran.push(args.slice(-3).join(" ").replaceAll(root, "~"));
      return "";
    }
    return fake(command, args);
  };
  await buildEnvironment(building(["python3"], { run: having })); // too old for pip alone
  const [fetched, made, installed] = ran;
  assert.equal(fetched, "--target ~/env-uv uv");
  assert.equal(made, `${uv.replace(root, "~")} venv --python >=3.10 ~/env`);
  assert.ok(installed?.endsWith(WHEEL));
  assert.equal(existsSync(join(root, "env-uv")), false);
});

test("without uv it is the first Python that is new enough, and pip", async () => {
  await buildEnvironment(building(["python3", "python3.12"]));
  const [, , , venv, install] = ran;
  assert.equal(ran.length, 5);
  assert.equal(venv, "/bin/python3.12 -m venv ~/env");
  assert.match(install ?? "", /python -m pip install --no-input .* -c ~/);
  assert.ok(install?.endsWith(WHEEL));
});

test("where uv fails, pip has its own index and proxies", async () => {
  const failing: Run = async (command, args) => {
    await fake(command, args);
    if (command === "/bin/uv" && args.includes("pip")) throw new Error("unreachable");
    return "";
  };
  await buildEnvironment(building(["uv", "python3.12"], { run: failing }));
  assert.ok(ran.at(-1)?.startsWith(`${PYTHON} -m pip install`));
  ran = [];
  await assert.rejects(
    buildEnvironment(building(["uv"], { run: failing, folder: join(root, "two") })),
    /unreachable/,
  );
});

test("the model is fetched while torch is installed", async () => {
  const order: string[] = [];
  let finish: () => void = () => {};
  const fetch = (python: string) =>
    new Promise<void>((resolve) => {
      order.push(`fetch with ${python.replace(root, "~")}`);
      finish = resolve;
    });
  const run: Run = async (command, args) => {
    order.push(args.slice(-1)[0]?.replace(root, "~") ?? "");
    return fake(command, args);
  };
  const { fetched } = await buildEnvironment(building(["uv"], { run, fetch }));
  assert.deepEqual(order, ["~/env", WHEEL, FETCHING.at(-1), `fetch with ${PYTHON}`, WHEEL]);
  assert.ok(ran.includes(`${BY_UV} --no-deps ${WHEEL}`));
  assert.ok(ran.includes(`${BY_UV} ${FETCHING.join(" ")}`));
  let isFetched = false;
  void fetched.then(() => {
    isFetched = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isFetched, false); // the server can be started meanwhile
  finish();
  await fetched;
});

test("an installation that fails ends the model's download and waits for its end", async () => {
  let ended = false;
  const fetch = (_: string, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        ended = true;
        resolve();
      });
    });
  const run: Run = async (command, args) => {
    await fake(command, args);
    const isAll =
      args.includes("pip") && args.at(-1)?.endsWith(".whl") && !args.includes("--no-deps");
    if (isAll) throw new Error("no torch");
    return "";
  };
  await assert.rejects(buildEnvironment(building(["uv"], { run, fetch })), /no torch/);
  assert.equal(ended, true);
});

test("an index that stands in the environment is told to uv, which does not read pip's settings", () => {
  assert.deepEqual(uvIndex({ PIP_INDEX_URL: "https://mine/simple" }), [
    "--index-url",
    "https://mine/simple",
  ]);
  assert.deepEqual(uvIndex({}), []);
  assert.deepEqual(uvIndex({ PIP_INDEX_URL: "https://a", UV_DEFAULT_INDEX: "https://b" }), []);
});

test("without Python the error says what was looked for and what helps", async () => {
  await assert.rejects(
    buildEnvironment(building(["python3"])),
    /Python 3.10 or newer with venv is missing \(looked for uv, python3, .*python3-venv.*set longllama.server.command/,
  );
});

test("the last package of pip's and uv's output is told", () => {
  assert.equal(packageOf("Collecting numpy\nCollecting torch==2.13.0 (from x)\n"), "torch");
  assert.equal(packageOf("  Downloading torch-2.13.0-cp311.whl (190.1 MB)\n"), "torch (190.1 MB)");
  assert.equal(packageOf("Downloading torch (190.1MiB)\n"), "torch (190.1MiB)");
  assert.equal(packageOf("Resolved 60 packages in 1.2s\n"), undefined);
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
