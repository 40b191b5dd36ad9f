// Where the server is: setting, the workspace's Python environments, PATH, our own environment.
// Knows no editor.

import { isAbsolute, join } from "node:path";
import { inEnvironment, isProgram, onPath } from "./programs";

export interface Server {
  command: string;
  args: string[];
  /** Where it was found, for the log. */
  origin: string;
}

export interface Places {
  /** The setting longllama.server.command. */
  command: readonly string[];
  /** The environment that is selected in the Python extension. */
  selected: string | undefined;
  folders: readonly string[];
  /** In an untrusted workspace nothing of it may run. */
  isTrusted: boolean;
  /** Our own environment; undefined where there is none. */
  managed: string | undefined;
  path?: string;
}

/** The origin of a server in our own environment. */
export const OWN_ORIGIN = "own environment";

export const PROGRAM = "longllama-lsp";
/** Names of environments in a workspace folder. */
export const WORKSPACE_ENVIRONMENTS = [".venv", "venv", "env"];

/** The server; undefined where there is none. Throws where the setting names what is not there. */
export function findServer(places: Places): Server | undefined {
  if (places.command.length > 0) return ofSetting(places.command);
  const environment = places.isTrusted ? ofWorkspace(places) : undefined;
  return environment ?? ofPath(places.path) ?? ofOwn(places.managed);
}

function ofSetting([command = "", ...args]: readonly string[]): Server {
  if (isAbsolute(command) ? isProgram(command) : onPath(command) !== undefined) {
    return { command, args, origin: "longllama.server.command" };
  }
  throw new Error(
    `setting longllama.server.command is "${command}": there is no such program; ` +
      "give its full path, or clear the setting.",
  );
}

function ofWorkspace({ selected, folders }: Places): Server | undefined {
  const inFolders = folders.flatMap((folder) =>
    WORKSPACE_ENVIRONMENTS.map((name) => join(folder, name)),
  );
  const environments = selected === undefined ? inFolders : [selected, ...inFolders];
  return firstOf(environments.map((folder) => inFolder(folder, `environment ${folder}`)));
}

function ofPath(path: string | undefined): Server | undefined {
  const command = onPath(PROGRAM, path);
  return command === undefined ? undefined : { command, args: [], origin: "PATH" };
}

function ofOwn(folder: string | undefined): Server | undefined {
  return folder === undefined ? undefined : inFolder(folder, OWN_ORIGIN);
}

function inFolder(folder: string, origin: string): Server | undefined {
  const command = inEnvironment(folder, PROGRAM);
  return isProgram(command) ? { command, args: [], origin } : undefined;
}

function firstOf<T>(items: (T | undefined)[]): T | undefined {
  return items.find((item) => item !== undefined);
}
