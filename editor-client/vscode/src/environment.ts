// Builds the server's own Python environment, with uv or with Python and pip. Knows no editor.

import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inEnvironment, onPath, type Run } from "./programs";

export interface Building {
  /** The environment's folder; what stands there is built anew. */
  folder: string;
  /** The folder of the server's wheel and of constraints.txt. */
  packages: string;
  run: Run;
  report: (step: string) => void;
  find?: (name: string) => string | undefined;
}

const OLDEST = "3.10";
const IS_RECENT = "import sys; sys.exit(sys.version_info < (3, 10))";

export async function buildEnvironment(building: Building): Promise<void> {
  const { folder, run, report, find = onPath } = building;
  rmSync(folder, { recursive: true, force: true });
  try {
    const uv = find("uv");
    if (uv === undefined) await withPip(building, await recentPython(run, find));
    else await withUv(building, uv);
    report("fetching the model (about 500 MB)");
    await run(inEnvironment(folder, "longllama"), ["pull"]);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true }); // half an environment would be found
    throw error;
  }
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
  const wheel = readdirSync(packages).find((name) => name.endsWith(".whl"));
  if (wheel === undefined)
    throw new Error(`${packages} holds no wheel; install the extension anew.`);
  return ["-c", join(packages, "constraints.txt"), join(packages, wheel)];
}

async function recentPython(run: Run, find: (name: string) => string | undefined): Promise<string> {
  const names = ["python3", "python", "python3.13", "python3.12", "python3.11", "python3.10"];
  for (const name of names) {
    const python = find(name);
    if (python !== undefined && (await succeeds(run(python, ["-c", IS_RECENT])))) return python;
  }
  throw new Error(
    `Python ${OLDEST} or newer is missing (looked for uv, ${names.join(", ")} on the PATH). ` +
      "Install it, or set longllama.server.command to a server that you have.",
  );
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch {
    return false;
  }
}
