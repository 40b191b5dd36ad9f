// What "Diagnose" says where the server does not run: what the program itself finds, or what is
// missing for there to be one. Knows no editor.

import { join } from "node:path";
import { builder } from "./environment";
import { type Places, PROGRAM, type Server, WORKSPACE_ENVIRONMENTS } from "./find";
import { ProgramFailed, type Run } from "./programs";

/** A line as the server's own checks have it: state, name, what was found, and what helps. */
export interface Check {
  name: string;
  state: "ok" | "warning" | "error";
  found: string;
  remedy?: string;
}

export function asText(checks: readonly Check[]): string {
  const line = ({ state, name, found }: Check) => `${state.padEnd(8)}${name.padEnd(15)}${found}`;
  const remedy = (text: string) => `${"".padEnd(23)}→ ${text}`;
  return checks
    .flatMap((check) => [line(check), ...(check.remedy ? [remedy(check.remedy)] : [])])
    .join("\n");
}

/** What is missing for there to be a server. */
export async function withoutServer(
  places: Places,
  packages: () => string,
  run: Run,
): Promise<Check[]> {
  return [
    ...(await lookedFor(places)),
    await check("installation", "it can be built", async () => `by ${await builder(run)}`),
    await check("wheel", "it comes with the extension", async () => packages()),
  ];
}

function lookedFor({ command, selected, folders, isTrusted, managed }: Places): Check[] {
  const remedy = 'run "LongLLaMA: Install the Server", or set longllama.server.command.';
  const inFolders = folders.flatMap((folder) =>
    WORKSPACE_ENVIRONMENTS.map((name) => join(folder, name)),
  );
  const restricted = "nothing of an untrusted workspace is looked at";
  const said = (value: string | undefined) => value ?? "none";
  return [
    { name: "server", state: "error", found: "there is none", remedy },
    note("setting", command.length > 0 ? command.join(" ") : "longllama.server.command is empty"),
    note("Python", isTrusted ? `selected environment: ${said(selected)}` : restricted),
    note("workspace", isTrusted ? `none in ${inFolders.join(", ") || "no folder"}` : restricted),
    note("PATH", `no ${PROGRAM}`),
    note("own", managed ?? "none was installed"),
  ];
}

function note(name: string, found: string): Check {
  return { name, state: "warning", found };
}

async function check(name: string, what: string, find: () => Promise<string>): Promise<Check> {
  try {
    return { name, state: "ok", found: `${what}: ${await find()}` };
  } catch (error) {
    return { name, state: "error", found: error instanceof Error ? error.message : String(error) };
  }
}

export interface Asked {
  /** The first workspace folder. */
  root: string | undefined;
  /** The setting longllama.model.path. */
  model: string;
  /** The setting longllama.memory.cacheDir. */
  cacheDir: string;
}

/** What a server that was found, but does not run, says of itself; its errors are no failure here. */
export async function byProgram(server: Server, asked: Asked, run: Run): Promise<string> {
  try {
    return await run(server.command, diagnoseArguments(server.args, asked));
  } catch (error) {
    if (error instanceof ProgramFailed && /^(ok|warning|error) /m.test(error.output)) {
      return error.output;
    }
    const found = `${server.command}: ${error instanceof Error ? error.message : error}`;
    const remedy = 'run "LongLLaMA: Repair the Server", or set longllama.server.command.';
    return asText([{ name: "server", state: "error", found, remedy }]);
  }
}

/** Options of `serve` alone are not those of `diagnose`; `-m lsp_server` names the program. */
function diagnoseArguments(args: readonly string[], { root, model, cacheDir }: Asked): string[] {
  const isModule = args[0] === "-m";
  const program = isModule ? args.slice(0, 2) : args.filter((one) => /\.pyz?$/.test(one));
  const options = { "--root": root, "--model": model, "--cache-dir": cacheDir };
  const given = Object.entries(options).flatMap(([name, value]) => (value ? [name, value] : []));
  return [...program, "diagnose", ...given];
}
