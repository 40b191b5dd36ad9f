// Builds the server's own Python environment, with uv or with Python and pip. Knows no editor.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Aborted, inEnvironment, onPath, type Run } from "./programs";

export interface Building {
  /** The environment's folder; nothing stands there yet. */
  folder: string;
  /** The folder of the server's wheel and of constraints.txt. */
  packages: string;
  run: Run;
  report: (step: string) => void;
  find?: (name: string) => string | undefined;
}

const OLDEST = "3.10";
/** Debian's own Python lacks ensurepip, without which it makes no environment. */
const CAN_BUILD = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";

export async function buildEnvironment(building: Building): Promise<void> {
  const { run, find = onPath } = building;
  const uv = find("uv");
  if (uv === undefined) await withPip(building, await recentPython(run, find));
  else await withUv(building, uv);
}

/** What would build it; the error of `recentPython` where nothing can. */
export async function builder(run: Run, find: Building["find"] = onPath): Promise<string> {
  return find("uv") ?? (await recentPython(run, find));
}

/** The last step that a program told of, as `longllama pull` prints it: `42 % download 206 of …`. */
export function stepOf(output: string): string | undefined {
  return output
    .match(/^ *\d+ % .+$/gm)
    ?.at(-1)
    ?.trim();
}

async function withUv({ folder, packages, run, report }: Building, uv: string): Promise<void> {
  report("making a Python environment with uv");
  await run(uv, ["venv", "--python", `>=${OLDEST}`, folder]);
  report("installing the server and torch with uv");
  const python = inEnvironment(folder, "python");
  await run(uv, ["pip", "install", "--python", python, ...requirements(packages)]);
}

async function withPip({ folder, packages, run, report }: Building, python: string): Promise<void> {
  report("making a Python environment");
  await run(python, ["-m", "venv", folder]);
  report("installing the server and torch with pip");
  const install = ["-m", "pip", "install", "--no-input", "--disable-pip-version-check"];
  await run(inEnvironment(folder, "python"), [...install, ...requirements(packages)]);
}

function requirements(packages: string): string[] {
  return ["-c", join(packages, "constraints.txt"), wheelIn(packages)];
}

/** The server's wheel, which the extension brings. */
export function wheelIn(packages: string): string {
  const wheel = readdirSync(packages).find((name) => name.endsWith(".whl"));
  if (wheel === undefined)
    throw new Error(`${packages} holds no wheel; install the extension anew.`);
  return join(packages, wheel);
}

async function recentPython(run: Run, find: (name: string) => string | undefined): Promise<string> {
  const names = ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"];
  for (const name of names) {
    const python = find(name);
    if (python !== undefined && (await succeeds(run(python, ["-c", CAN_BUILD])))) return python;
  }
  throw new Error(
    `Python ${OLDEST} or newer with venv is missing (looked for uv, ${names.join(", ")} on the ` +
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
