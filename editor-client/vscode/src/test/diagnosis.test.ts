import assert from "node:assert/strict";
import { test } from "node:test";
import { asText, byProgram, withoutServer } from "../diagnosis";
import type { Places } from "../find";
import { modelsIn } from "../models";
import { ProgramFailed, type Run } from "../programs";

const places: Places = {
  command: [],
  selected: undefined,
  folders: ["/w"],
  isTrusted: true,
  managed: undefined,
};
const asked = { root: "/w", model: "auto", cacheDir: "" };
const server = (args: string[] = []) => ({ command: "/bin/longllama-lsp", args, origin: "PATH" });

function recording(result: string | Error): { run: Run; ran: string[] } {
  const ran: string[] = [];
  const run: Run = async (command, args) => {
    ran.push([command, ...args].join(" "));
    if (result instanceof Error) throw result;
    return result;
  };
  return { run, ran };
}

test("checks are lines as the server's own are", () => {
  const text = asText([
    { name: "server", state: "error", found: "there is none", remedy: "install it." },
    { name: "wheel", state: "ok", found: "/x.whl" },
  ]);
  assert.equal(
    text,
    "error   server         there is none\n" +
      "                       → install it.\n" +
      "ok      wheel          /x.whl",
  );
});

test("without a server it says where was looked, and what installing needs", async () => {
  const noPython = new Error("Python is missing");
  const checks = await withoutServer(places, () => "/x.whl", recording(noPython).run);
  const text = asText(checks);
  assert.match(text, /error +server +there is none\n +→ run "LongLLaMA: Install the Server"/);
  assert.match(text, /\/w\/\.venv, .*venv, .*env/);
  assert.match(text, /PATH +no longllama-lsp/);
  assert.match(text, /ok +wheel .*\/x\.whl/);
});

test("in an untrusted workspace it says that nothing of it was looked at", async () => {
  const untrusted = { ...places, isTrusted: false };
  const text = asText(await withoutServer(untrusted, () => "/x.whl", recording("").run));
  assert.doesNotMatch(text, /\.venv/);
  assert.match(text, /nothing of an untrusted workspace/);
});

test("an extension without its wheel says so", async () => {
  const missing = () => {
    throw new Error("/server holds no wheel");
  };
  const text = asText(await withoutServer(places, missing, recording("").run));
  assert.match(text, /error +wheel +\/server holds no wheel/);
});

test("the program's own diagnosis is asked for, with what the settings say", async () => {
  const { run, ran } = recording("ok      python         3.11");
  const all = { root: "/w", model: "mini", cacheDir: "/cache" };
  assert.match(await byProgram(server(["serve", "--log-level", "info"]), all, run), /3\.11/);
  await byProgram(server(["-m", "lsp_server", "serve"]), asked, run);
  assert.deepEqual(ran, [
    "/bin/longllama-lsp diagnose --root /w --model mini --cache-dir /cache",
    "/bin/longllama-lsp -m lsp_server diagnose --root /w --model auto",
  ]);
});

test("errors that it finds are its answer; a program that does not run is a check of ours", async () => {
  const output = "error   torch          No module named 'torch'\n";
  const { run } = recording(new ProgramFailed("ended with 1", output));
  assert.equal(await byProgram(server(), asked, run), output);
  const broken = new ProgramFailed("ended with 127", "cannot execute");
  const text = await byProgram(server(), asked, recording(broken).run);
  assert.match(text, /error +server +\/bin\/longllama-lsp: ended with 127\n.*Repair the Server/);
});

test("models that are here come first; those that cannot be fetched or run are left out", () => {
  const one = { aliases: [], summary: "Coder; 1.1 GB to fetch, for any CPU", licence: "" };
  const json = JSON.stringify({
    models: [
      { ...one, name: "coder-1.5b", folder: null, fetch_bytes: 1_117_320_768 },
      { ...one, name: "mini", folder: "/m/mini", fetch_bytes: 92_871_040 },
      { ...one, name: "3b", folder: null, fetch_bytes: null },
    ],
    local: [
      { name: "ollama:qwen", path: "/o/qwen", refusal: "" },
      { name: "ollama:phi", path: "/o/phi", refusal: "of an architecture that is not read" },
    ],
  });
  const found = modelsIn(`a warning\n${json}`);
  assert.deepEqual(
    found.map(({ path, description }) => `${path}: ${description}`),
    ["mini: on this machine", "ollama:qwen: on this machine", "coder-1.5b: 1.1 GB to fetch"],
  );
  assert.deepEqual(
    [...new Set(found.map(({ detail }) => detail))],
    ["Coder; for any CPU", "/o/qwen"],
  );
});
