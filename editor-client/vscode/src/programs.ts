// Runs programs and looks for them. Knows no editor.

import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

/** Runs a program; its output goes to `log`. Rejects where it cannot be run, fails or is aborted. */
export type Run = (
  command: string,
  args: readonly string[],
  options?: { log?: (text: string) => void; signal?: AbortSignal },
) => Promise<string>;

const KEPT_CHARS = 800;

export const run: Run = (command, args, { log, signal } = {}) =>
  new Promise((resolve, reject) => {
    // Never in the workspace: Python and pip take modules and settings from where they run.
    const child = spawn(command, args, { cwd: homedir(), ...(signal && { signal }) });
    let output = "";
    const take = (chunk: Buffer) => {
      output += chunk.toString();
      log?.(chunk.toString());
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", reject);
    child.on("close", (code) => {
      const said = output.trim().slice(-KEPT_CHARS);
      const failure = `${command} ${args.join(" ")} ended with ${code}: ${said}`;
      code === 0 ? resolve(output) : reject(new Error(failure));
    });
  });

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
