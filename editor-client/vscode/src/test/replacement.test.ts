import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server as NetServer } from "node:net";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { OWN_ORIGIN } from "../find";
import { type Own, OwnEnvironments } from "../ownEnvironments";
import { Aborted, inEnvironment, onPath, type Run, run } from "../programs";
import { installQuestion, pullArguments, repairQuestion, replaceEnvironment } from "../replacement";
import { until } from "./waiting";

// A real wheel, small and without torch, that real pip installs into a real environment. Its server
// says what it was asked, or fails as one does whose torch is broken.
const WHEEL = `
import sys, zipfile
folder, version, needs, exit_code = sys.argv[1:]
name = f"longllama_code_lsp-{version}"
info = f"{name}.dist-info"
files = {
    "tiny_server.py": f"import sys\\ndef main():\\n    print('asked', *sys.argv[1:])\\n    sys.exit({exit_code})\\n",
    f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: longllama-code-lsp\\nVersion: {version}\\n"
    + (f"Requires-Dist: {needs}\\n" if needs else ""),
    f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{info}/entry_points.txt": "[console_scripts]\\nlongllama-lsp = tiny_server:main\\n",
}
record = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(f"{folder}/{name}-py3-none-any.whl", "w") as wheel:
    for path, text in {**files, f"{info}/RECORD": record}.items():
        wheel.writestr(path, text)
open(f"{folder}/constraints.txt", "w").close()
`;

const python = onPath("python3") ?? onPath("python");
const skip = python === undefined ? "there is no Python" : false;
const pip = { PIP_CONFIG_FILE: devNull, PIP_RETRIES: "0", PIP_DISABLE_PIP_VERSION_CHECK: "1" };
const environment = { ...process.env };

let root: string;
let ours: OwnEnvironments;
let steps: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "replacement-"));
  ours = new OwnEnvironments(join(root, "storage"));
  steps = [];
  for (const name of Object.keys(process.env))
    if (name.startsWith("PIP_")) delete process.env[name];
  Object.assign(process.env, pip, { PIP_NO_INDEX: "1" });
});
afterEach(async () => {
  process.env = { ...environment };
  await until(() => nothingUnfinished());
  rmSync(root, { recursive: true, force: true });
});

/** What was not finished is deleted in the background. */
function nothingUnfinished(): boolean {
  const folder = join(root, "storage", "e");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.every((name) => existsSync(join(folder, name, "complete.json")));
}

function packages(version: string, { needs = "", exit = "0" } = {}): string {
  const folder = join(root, `packages-${version}`);
  mkdirSync(folder);
  execFileSync(python ?? "", ["-c", WHEEL, folder, version, needs, exit]);
  return folder;
}

/** uv is not fetched: what is tested here is built by pip. */
const withoutUv: Run = (command, args, options) =>
  args.includes("--target") ? Promise.reject(new Error("no uv")) : run(command, args, options);

function replace(version: string, folder: string, using: Run = withoutUv): Promise<Own> {
  const find = (name: string) => (name === "python3" ? python : undefined);
  const report = (step: string) => steps.push(step);
  return replaceEnvironment({
    environments: ours,
    packages: folder,
    version,
    run: using,
    report,
    find,
  });
}

async function works(own: Own | undefined): Promise<string> {
  const server = inEnvironment(own?.environment ?? "", "longllama-lsp");
  return (await run(server, ["hello"])).trim();
}

test("the new one is built beside the old, and found once its server started", {
  skip,
}, async () => {
  const old = await replace("1.0", packages("1.0"));
  let before: string | undefined;
  const watching: Run = async (command, args, options) => {
    before = ours.current()?.version;
    assert.equal(await works(old), "asked hello");
    return withoutUv(command, args, options);
  };
  const own = await replace("2.0", packages("2.0"), watching);
  assert.equal(before, "1.0"); // to the very last program that was run
  assert.equal(ours.current()?.environment, own.environment);
  assert.equal(await works(own), "asked hello");
  assert.deepEqual(steps.at(-1), "starting the new server");
  assert.equal(existsSync(old.environment), true); // deleted later, when no window uses it
});

test("without network it fails, and the old one works on", { skip }, async () => {
  const old = await replace("1.0", packages("1.0"));
  const lacking = packages("2.0", { needs: "a-package-that-is-nowhere" });
  await assert.rejects(replace("2.0", lacking), /No matching distribution found/);
  assert.deepEqual(ours.current(), old);
  assert.equal(await works(ours.current()), "asked hello");
});

test("a new server that does not start takes no place, and its error is told", {
  skip,
}, async () => {
  const old = await replace("1.0", packages("1.0"));
  const broken = packages("2.0", { exit: "'OSError: libtorch_cpu.so: cannot open'" });
  await assert.rejects(replace("2.0", broken), /libtorch_cpu.so: cannot open/);
  assert.deepEqual(ours.current(), old);
});

test("cancelled while pip waits for the index, the old one works on", { skip }, async () => {
  const old = await replace("1.0", packages("1.0"));
  const index = await silentServer();
  delete process.env.PIP_NO_INDEX;
  process.env.PIP_INDEX_URL = `http://127.0.0.1:${index.port}/simple`;
  const abort = new AbortController();
  const cancellable: Run = (command, args) => withoutUv(command, args, { signal: abort.signal });
  const lacking = packages("2.0", { needs: "a-package-that-is-nowhere" });
  const work = replace("2.0", lacking, cancellable);
  await Promise.race([index.asked, work]);
  abort.abort();
  await assert.rejects(work, Aborted);
  assert.deepEqual(ours.current(), old);
  assert.equal(await works(ours.current()), "asked hello");
  index.server.close();
});

test("a first installation that fails leaves nothing", { skip }, async () => {
  const lacking = packages("1.0", { needs: "a-package-that-is-nowhere" });
  await assert.rejects(replace("1.0", lacking));
  assert.equal(ours.current(), undefined);
  await until(() => readdirSync(join(root, "storage", "e")).length === 0);
});

test("uv that real pip fetches builds one as well", { skip }, async (context) => {
  process.env = { ...environment }; // with the index of this machine
  const ran: string[] = [];
  const watching: Run = (command, args, options) => {
    ran.push(command);
    return run(command, args, options);
  };
  const own = await replace("1.0", packages("1.0"), watching);
  assert.equal(await works(own), "asked hello");
  assert.equal(existsSync(`${own.environment}-uv`), false);
  const hasUv = ran.some((command) => command.startsWith(`${own.environment}-uv`));
  if (!hasUv) context.skip("no index has uv here: it was built by pip");
});

/** An index that takes connections and never answers. */
async function silentServer(): Promise<{ server: NetServer; port: number; asked: Promise<void> }> {
  const server = createServer();
  const asked = new Promise<void>((resolve) => {
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => resolve());
      server.once("close", () => socket.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { server, port: typeof address === "object" ? (address?.port ?? 0) : 0, asked };
}

const server = (origin: string) => ({ command: "/x/longllama-lsp", args: [], origin });
const own = (version: string): Own => ({ environment: "", folder: "", version, finished: 1 });

test("what works is not replaced without a question", () => {
  assert.equal(installQuestion(undefined, undefined, "2.0"), undefined);
  assert.equal(installQuestion(server(OWN_ORIGIN), own("2.0"), "2.0")?.yes, "Repair");
  assert.equal(installQuestion(server(OWN_ORIGIN), own("1.0"), "2.0")?.yes, "Update");
  const elsewhere = installQuestion(server("environment /w/.venv"), undefined, "2.0");
  assert.equal(elsewhere?.yes, "Install Anyway");
  assert.match(elsewhere?.text ?? "", /environment \/w\/\.venv/);
  assert.equal(repairQuestion(undefined), undefined);
  assert.equal(repairQuestion(server(OWN_ORIGIN))?.yes, "Repair");
});

test("the model of the settings is fetched, and none where it is the user's own file", () => {
  assert.deepEqual(pullArguments("auto"), ["pull"]);
  assert.deepEqual(pullArguments("coder-1.5b"), ["pull", "coder-1.5b"]);
  assert.equal(pullArguments("/models/mine.gguf"), undefined);
  assert.equal(pullArguments("C:\\models\\mine"), undefined);
  assert.equal(pullArguments("tiny"), undefined);
});
