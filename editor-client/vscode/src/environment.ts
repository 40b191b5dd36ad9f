// Builds the server's own Python environment, with uv or with Python and pip. Knows no editor.

import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Aborted, executable, inEnvironment, isProgram, onPath, type Run } from "./programs";

export interface Building {
  /** The environment's folder; nothing stands there yet. */
  folder: string;
  /** The folder of the server's wheel and of constraints.txt. */
  packages: string;
  run: Run;
  report: (step: string) => void;
  find?: ((name: string) => string | undefined) | undefined;
  /** Fetches the model with the new environment's Python, beside the rest; it never rejects. */
  fetch?: ((python: string, signal: AbortSignal) => Promise<void>) | undefined;
}

/** A new environment, whose model may still be on its way. */
export interface Built {
  fetched: Promise<void>;
}

/** What makes environments: uv, or Python with pip. */
interface Tool {
  name: string;
  make(): Promise<unknown>;
  install(requirements: readonly string[]): Promise<unknown>;
  /** Install what needs torch: that for CPUs where there is no GPU, if the tool can tell. */
  installWithTorch(requirements: readonly string[]): Promise<unknown>;
}

const OLDEST = "3.10";
/** Debian's own Python lacks ensurepip, without which it makes no environment. */
const CAN_BUILD = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
const PYTHONS = ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"];
const QUIET = ["--no-input", "--disable-pip-version-check"];
/** What fetching a model imports beside the server's own package: seconds to install, no torch. */
export const FETCHING = [
  "pip",
  "filelock",
  "gguf",
  "httpx2",
  "huggingface-hub",
  "platformdirs",
  "psutil",
  "safetensors",
  "sentencepiece",
  "tokenizers",
];

/** By uv where it is or can be had; else, or where that fails, by Python and pip. */
export async function buildEnvironment(building: Building): Promise<Built> {
  const uv = await uvFor(building);
  if (uv === undefined) return build(building, await pipTool(building));
  try {
    return await build(building, uvTool(building, uv));
  } catch (error) {
    if (error instanceof Aborted) throw error;
    const pip = await pipTool(building).catch(() => undefined);
    if (pip === undefined) throw error; // only uv brings a Python here
    await rm(building.folder, { recursive: true, force: true });
    return build(building, pip);
  } finally {
    await rm(fetchedUv(building), { recursive: true, force: true });
  }
}

/** Where uv is put that is fetched: beside the environment, and gone with it. */
function fetchedUv({ folder }: Building): string {
  return `${folder}-uv`;
}

/** The model is fetched while torch is: both take minutes on a slow line. */
async function build(building: Building, tool: Tool): Promise<Built> {
  const { folder, packages, report, fetch } = building;
  const constraints = ["-c", join(packages, "constraints.txt")];
  const wheel = wheelIn(packages);
  report(`making a Python environment with ${tool.name}`);
  await tool.make();
  if (fetch === undefined) {
    await all();
    return { fetched: Promise.resolve() };
  }
  report("installing what fetches the model");
  await tool.install([...constraints, "--no-deps", wheel]);
  await tool.install([...constraints, ...FETCHING]);
  const ending = new AbortController();
  const fetched = fetch(inEnvironment(folder, "python"), ending.signal);
  try {
    await all();
  } catch (error) {
    ending.abort();
    await fetched; // nothing may run in a folder that is to be deleted
    throw error;
  }
  return { fetched };

  async function all() {
    report(`installing the server and torch with ${tool.name}`);
    await tool.installWithTorch([...constraints, wheel]);
  }
}

/** What would build it; the error of `recentPython` where nothing can. */
export async function builder(run: Run, find: Building["find"] = programs): Promise<string> {
  return find("uv") ?? (await recentPython(run, find));
}

/** The last step that a program told of, as `longllama pull` prints it: `42 % download 206 of …`. */
export function stepOf(output: string): string | undefined {
  return output
    .match(/^ *\d+ % .+$/gm)
    ?.at(-1)
    ?.trim();
}

/** The last package that uv or pip told of: `Downloading torch (190.1MiB)`. */
export function packageOf(output: string): string | undefined {
  const found = [...output.matchAll(/^ *(?:Downloading|Collecting|Building) ([A-Za-z]\w*)(.*)$/gm)];
  const [, name, rest] = found.at(-1) ?? [];
  if (name === undefined) return undefined;
  const size = rest?.match(/\(([\d.]+ ?[kMG]i?B)\)/)?.[1];
  return size === undefined ? name : `${name} (${size})`;
}

/** Where programs are looked for; uv's installer puts it where an editor's PATH does not lead yet. */
function programs(name: string): string | undefined {
  const places = name === "uv" ? [".local/bin", ".cargo/bin"] : [];
  const near = places.map((place) => join(homedir(), place, executable(name)));
  return onPath(name) ?? near.find(isProgram);
}

/** uv, which is on the PATH, or comes as a wheel that any pip fetches; undefined where neither is so. */
async function uvFor(building: Building): Promise<string | undefined> {
  const { run, report, find = programs } = building;
  const found = find("uv");
  if (found !== undefined) return found;
  const target = fetchedUv(building);
  const python = PYTHONS.map((name) => find(name)).find((path) => path !== undefined);
  if (python === undefined) return undefined;
  report("fetching uv");
  const only = ["--no-deps", "--only-binary", ":all:", "--target", target];
  const isHere = await succeeds(run(python, ["-m", "pip", "install", ...QUIET, ...only, "uv"]));
  const uv = join(target, "bin", executable("uv"));
  return isHere && isProgram(uv) ? uv : undefined;
}

function uvTool({ folder, run }: Building, uv: string): Tool {
  const command = ["pip", "install", "--python", inEnvironment(folder, "python")];
  const install = (...more: readonly string[]) =>
    run(uv, [...command, ...uvIndex(process.env), ...more]);
  return {
    name: "uv",
    make: () => run(uv, ["venv", "--python", `>=${OLDEST}`, folder]),
    install: (requirements) => install(...requirements),
    async installWithTorch(requirements) {
      try {
        // Torch's own index has it without the gigabytes of CUDA.
        return await install("--torch-backend", "auto", ...requirements);
      } catch (error) {
        if (error instanceof Aborted) throw error;
        return install(...requirements); // that index cannot be reached, or uv is too old to know it
      }
    },
  };
}

/** uv does not read pip's settings; an index that stands in the environment is told to it. */
export function uvIndex(environment: NodeJS.ProcessEnv): string[] {
  const { PIP_INDEX_URL: index, UV_DEFAULT_INDEX, UV_INDEX_URL } = environment;
  const isSet = UV_DEFAULT_INDEX !== undefined || UV_INDEX_URL !== undefined;
  return index === undefined || isSet ? [] : ["--index-url", index];
}

async function pipTool({ folder, run, find = programs }: Building): Promise<Tool> {
  const python = await recentPython(run, find);
  const command = ["-m", "pip", "install", ...QUIET];
  const install = (requirements: readonly string[]) =>
    run(inEnvironment(folder, "python"), [...command, ...requirements]);
  return {
    name: "pip",
    make: () => run(python, ["-m", "venv", folder]),
    install,
    installWithTorch: install,
  };
}

/** The server's wheel, which the extension brings. */
export function wheelIn(packages: string): string {
  const wheel = readdirSync(packages).find((name) => name.endsWith(".whl"));
  if (wheel === undefined)
    throw new Error(`${packages} holds no wheel; install the extension anew.`);
  return join(packages, wheel);
}

async function recentPython(run: Run, find: (name: string) => string | undefined): Promise<string> {
  for (const name of PYTHONS) {
    const python = find(name);
    if (python !== undefined && (await succeeds(run(python, ["-c", CAN_BUILD])))) return python;
  }
  throw new Error(
    `Python ${OLDEST} or newer with venv is missing (looked for uv, ${PYTHONS.join(", ")} on the ` +
      "PATH). Install it (on Debian and Ubuntu: python3-venv), or set longllama.server.command to " +
      "a server that you have.",
  );
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (error instanceof Aborted) throw error;
    return false;
  }
}
