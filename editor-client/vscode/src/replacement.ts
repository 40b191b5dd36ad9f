// Puts a new environment of the server in the place of the one that works, or of none: it is built
// beside, and found from when its server has started. Knows no editor.

import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Building, buildEnvironment } from "./environment";
import { OWN_ORIGIN, type Server } from "./find";
import { modelName } from "./modelName";
import { type Own, type OwnEnvironments, removeTree } from "./ownEnvironments";
import { inEnvironment, type Run } from "./programs";

export interface Replacement {
  environments: OwnEnvironments;
  /** The folder of the server's wheel and of constraints.txt. */
  packages: string;
  /** The version of the extension. */
  version: string;
  run: Run;
  report: (step: string) => void;
  find?: Building["find"];
  /** Fetches the model meanwhile. */
  fetch?: Building["fetch"];
}

/** Build it, start its server once, and have it found; if any of these fails, nothing is changed. */
export async function replaceEnvironment(replacement: Replacement): Promise<Own> {
  const { environments, version, report, run } = replacement;
  const own = await environments.begin();
  try {
    const { fetched } = await buildEnvironment({ ...replacement, folder: own.environment });
    report("starting the new server");
    await startOnce(own.environment, run);
    const finished = await environments.finish(own, version);
    if (replacement.fetch !== undefined) report("the server is ready");
    await fetched;
    return finished;
  } catch (error) {
    await environments.release(own);
    void environments.discard(own);
    throw error;
  }
}

/** A real server with a model that is built in memory: torch and all else that it needs are there. */
async function startOnce(environment: string, run: Run): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "longllama-"));
  try {
    const server = inEnvironment(environment, "longllama-lsp");
    const where = ["--root", folder, "--cache-dir", folder];
    await run(server, ["status", "--json", "--model", "tiny", ...where]);
  } finally {
    await removeTree(folder).catch(() => {});
  }
}

/** What is fetched by no name: it is built in memory, for tests. */
const BUILT_IN = "tiny";

/** What `longllama` is told to fetch the model of the settings; undefined: there is nothing to fetch. */
export function pullArguments(model: string): string[] | undefined {
  if (model === "auto") return ["pull"];
  if (model === BUILT_IN) return undefined;
  return modelName({ model }) === undefined ? undefined : ["pull", model];
}

/** What is asked before a server is installed; undefined: there is nothing to lose. */
export interface Question {
  text: string;
  /** What is done after "yes". */
  yes: string;
  detail: string;
}

const MEANWHILE =
  "The new one is built beside it, which takes about 5 minutes; the old one goes on.";

/** `Install the Server`, where a server works already. */
export function installQuestion(
  server: Server | undefined,
  own: Own | undefined,
  version: string,
): Question | undefined {
  if (server === undefined) return undefined;
  if (server.origin !== OWN_ORIGIN) {
    const detail = "One of our own would be used only where that one is not found.";
    return { text: `The server works: ${server.origin}.`, yes: "Install Anyway", detail };
  }
  return own?.version === version
    ? { text: `The server ${version} works.`, yes: "Repair", detail: MEANWHILE }
    : updateQuestion(own?.version ?? "", version);
}

export function updateQuestion(has: string, version: string): Question {
  const text = `The server ${has} works; this extension brings ${version}.`;
  return { text, yes: "Update", detail: MEANWHILE };
}

/** `Repair the Server`, where it works. */
export function repairQuestion(server: Server | undefined): Question | undefined {
  if (server === undefined) return undefined;
  return { text: "The server works. Build it anew?", yes: "Repair", detail: MEANWHILE };
}
