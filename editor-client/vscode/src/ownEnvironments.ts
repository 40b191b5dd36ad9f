// The server's own Python environments in VS Code's storage: the one that works, one that is being
// built beside it, and old ones that are deleted in the background. Knows no editor.
//
//   e/x1Y2z3/              one environment and what is known of it; the names are short, as paths
//     v/                   in torch are long and Windows allows 260 characters
//     complete.json        {"version": "0.2.0", "finished": 1764000000000}; absent while it is built
//     used-HOST-PID        a window that builds it, or runs a server from it

import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, opendir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { inEnvironment, isProgram } from "./programs";

export interface Own {
  /** The Python environment. */
  environment: string;
  /** The folder of the environment and of what is known of it. */
  folder: string;
  /** Version of the extension that built it. */
  version: string;
  /** When it was complete, in milliseconds; 0 for an environment of version 0.1. */
  finished: number;
}

const COMPLETE = "complete.json";
const USED = "used-";
const REMOVED = "removed-";
/** A folder that nobody says to use may be of a window that is just about to say so. */
const UNCLAIMED_MS = 600_000;
/** After that long, a window on another machine that shares the storage is taken to be gone. */
const FOREIGN_MS = 7 * 24 * 3_600_000;

export class OwnEnvironments {
  private readonly root: string;
  private readonly claim: string;

  constructor(
    private readonly storage: string,
    private readonly host = hostname(),
    pid = process.pid,
  ) {
    this.root = join(storage, "e");
    this.claim = `${USED}${host}-${pid}`;
  }

  /** The newest environment that is complete and has the server. */
  current(): Own | undefined {
    return this.complete().at(-1);
  }

  /** A new folder, for an environment to be built in. */
  async begin(): Promise<Own> {
    await mkdir(this.root, { recursive: true });
    const folder = await mkdtemp(join(this.root, "x"));
    const own = { folder, environment: join(folder, "v"), version: "", finished: 0 };
    await this.use(own);
    return own;
  }

  /** From now on it is the one that is found: it was built, and its server has started. */
  async finish(own: Own, version: string): Promise<Own> {
    const finished = Math.max(Date.now(), (this.current()?.finished ?? 0) + 1);
    const partial = join(own.folder, `${COMPLETE}.new`);
    await writeFile(partial, JSON.stringify({ version, finished }));
    await rename(partial, join(own.folder, COMPLETE));
    return { ...own, version, finished };
  }

  /** Say that this window uses it, so that no window removes it. */
  async use(own: Own): Promise<void> {
    await writeFile(join(own.folder, this.claim), "").catch(() => {}); // it may be read-only
  }

  /** Say that this window does not use it any longer. */
  async release(own: Own): Promise<void> {
    await rm(join(own.folder, this.claim), { force: true });
  }

  /** Delete one that was not finished. */
  async discard(own: Own): Promise<void> {
    await removeTree(await this.setAside(own.folder)).catch(() => {}); // removeUnused tries again
  }

  /** Delete all but the current one that no window uses; one that cannot be is left for later. */
  async removeUnused(): Promise<void> {
    const kept = this.current()?.folder;
    for (const folder of this.folders()) {
      if (folder === kept || !(await this.isUnused(folder))) continue;
      const removed = await this.setAside(folder);
      await removeTree(removed).catch(() => {});
    }
  }

  /** Out of the way at once, so that nothing finds what is half deleted. */
  private async setAside(folder: string): Promise<string> {
    if (basename(folder).startsWith(REMOVED)) return folder;
    await mkdir(this.root, { recursive: true });
    const removed = join(this.root, `${REMOVED}${basename(folder)}`);
    return await rename(folder, removed).then(
      () => removed,
      () => folder, // Windows: a program of it runs
    );
  }

  private async isUnused(folder: string): Promise<boolean> {
    const names = namesIn(folder);
    const claims = names.filter((name) => name.startsWith(USED));
    if (claims.length > 0) {
      const alive = await Promise.all(claims.map((name) => this.isAlive(folder, name)));
      return !alive.includes(true);
    }
    const isSettled = names.includes(COMPLETE) || basename(folder).startsWith(REMOVED);
    return isSettled || this.isLegacy(folder) || (await age(folder)) > UNCLAIMED_MS;
  }

  private async isAlive(folder: string, claim: string): Promise<boolean> {
    const [host, pid] = splitLast(claim.slice(USED.length));
    if (host !== this.host) return (await age(join(folder, claim))) < FOREIGN_MS;
    try {
      return process.kill(Number(pid), 0);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  }

  /** Oldest first. */
  private complete(): Own[] {
    const found = this.folders().flatMap((folder) => {
      const own = this.isLegacy(folder) ? legacy(folder) : described(folder);
      return own !== undefined && hasServer(own) ? [own] : [];
    });
    return found.sort((a, b) => a.finished - b.finished);
  }

  private folders(): string[] {
    const own = namesIn(this.root).map((name) => join(this.root, name));
    return [...own, ...namesIn(this.storage).map((name) => join(this.storage, name))].filter(
      (folder) => own.includes(folder) || this.isLegacy(folder),
    );
  }

  private isLegacy(folder: string): boolean {
    return join(this.storage, basename(folder)) === folder && LEGACY.test(basename(folder));
  }
}

/** What version 0.1 built: the environment alone. */
const LEGACY = /^server-(\d+\.\d+\.\d+)$/;

function legacy(folder: string): Own {
  const version = basename(folder).match(LEGACY)?.[1] ?? "";
  return { folder, environment: folder, version, finished: 0 };
}

function described(folder: string): Own | undefined {
  if (basename(folder).startsWith(REMOVED)) return undefined;
  try {
    const found = JSON.parse(readFileSync(join(folder, COMPLETE), "utf8"));
    const [version, finished] = [String(found.version), Number(found.finished)];
    return { folder, environment: join(folder, "v"), version, finished };
  } catch {
    return undefined; // it is being built, or was never finished
  }
}

function hasServer({ environment }: Own): boolean {
  return isProgram(inEnvironment(environment, "longllama-lsp"));
}

/**
 * Delete a folder file by file: Node's own recursion would ask for thousands of deletions at once,
 * behind which every file that the editor's extensions want to read has to wait.
 */
export async function removeTree(folder: string): Promise<void> {
  for await (const entry of await opendir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await removeTree(path);
    else await rm(path, { force: true });
  }
  await rmdir(folder);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

async function age(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? Number.POSITIVE_INFINITY : Date.now() - found.mtimeMs;
}

function splitLast(text: string): [string, string] {
  const at = text.lastIndexOf("-");
  return [text.slice(0, at), text.slice(at + 1)];
}
