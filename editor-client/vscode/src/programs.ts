// Runs programs and looks for them. Knows no editor.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";

/** Runs a program; its output goes to `log`. Rejects where it cannot be run, fails or is aborted. */
export type Run = (
  command: string,
  args: readonly string[],
  options?: {
    log?: (text: string) => void;
    signal?: AbortSignal;
    /** Variables beside those of this process. */
    variables?: Record<string, string>;
  },
) => Promise<string>;

/** What a program said before it ended with an error. */
export class ProgramFailed extends Error {
  constructor(
    message: string,
    readonly output: string,
  ) {
    super(message);
  }
}

/** The user cancelled it. */
export class Aborted extends Error {
  override name = "Aborted";
}

/** By its name: each bundle has a class of its own. */
export function wasAborted(error: unknown): boolean {
  return error instanceof Error && error.name === "Aborted";
}

/** What a program said that failed, or else the error's text. */
export function saidBy(error: unknown): string {
  const { output } = error as { output?: unknown };
  if (typeof output === "string") return output;
  return error instanceof Error ? error.message : String(error);
}

const KEPT_CHARS = 800;
const SECONDS_TO_END = 5;
const HAS_GROUPS = process.platform !== "win32";

export const run: Run = (command, args, { log, signal, variables } = {}) =>
  new Promise((resolve, reject) => {
    const called = [command, ...args].join(" ");
    if (signal?.aborted === true) return reject(new Aborted(`${called} was aborted`));
    // Never in the workspace: Python and pip take modules and settings from where they run.
    const env = { ...process.env, ...variables };
    const options = { cwd: homedir(), env, detached: HAS_GROUPS, windowsHide: true };
    const child = spawn(command, args, options);
    const abort = () => endTree(child);
    signal?.addEventListener("abort", abort);
    let output = "";
    const take = (chunk: Buffer) => {
      output += chunk.toString();
      log?.(chunk.toString());
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (code) => {
      signal?.removeEventListener("abort", abort);
      const said = output.trim().slice(-KEPT_CHARS);
      const failure = `${called} ended with ${code}: ${said}`;
      if (signal?.aborted === true) reject(new Aborted(`${called} was aborted`));
      else code === 0 ? resolve(output) : reject(new ProgramFailed(failure, output));
    });
  });

/** End a program and those that it started: pip and uv start others, which would go on writing. */
function endTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  if (!HAS_GROUPS) {
    spawn("taskkill", ["/pid", `${child.pid}`, "/t", "/f"], { windowsHide: true }).on("error", () =>
      child.kill(),
    );
    return;
  }
  signalGroup(child.pid, "SIGTERM");
  const timer = setTimeout(signalGroup, 1000 * SECONDS_TO_END, child.pid, "SIGKILL");
  child.on("close", () => clearTimeout(timer));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended
  }
}

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The full path of a program; relative entries of PATH would depend on where we are. */
export function onPath(name: string, path = process.env.PATH ?? ""): string | undefined {
  const folders = path.split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, executable(name))).find(isProgram);
}

export function executable(name: string): string {
  return process.platform === "win32" ? `${name}.exe` : name;
}

/** A program of a Python environment. */
export function inEnvironment(folder: string, name: string): string {
  return join(folder, process.platform === "win32" ? "Scripts" : "bin", executable(name));
}

/** A program in the folder of another one, which is a path or a name on the PATH. */
export function beside(program: string, name: string): string {
  const path = isAbsolute(program) ? program : (onPath(program) ?? program);
  return join(dirname(path), executable(name));
}
