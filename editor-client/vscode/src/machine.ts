// What programs that install are given of the machine: the editor's proxy, and room on the disk.
// Knows no editor.

import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { bytes } from "./numbers";

export interface Proxy {
  /** The setting http.proxy. */
  address: string;
  /** The setting http.noProxy. */
  except: readonly string[];
}

type Variables = Record<string, string>;

/**
 * Variables that pip, uv and the model hub's library read. Those that the user has set hold. Certificates
 * are the system's, among which a company's own are.
 */
export function installVariables(proxy: Proxy, environment: NodeJS.ProcessEnv): Variables {
  const has = (name: string) => name in environment || name.toLowerCase() in environment;
  const found: Variables = {};
  if (!has("UV_NATIVE_TLS")) found.UV_NATIVE_TLS = "1";
  if (has("HTTPS_PROXY") || has("ALL_PROXY") || proxy.address === "") return found;
  const proxies = { HTTPS_PROXY: proxy.address, HTTP_PROXY: proxy.address };
  return proxy.except.length > 0 && !has("NO_PROXY")
    ? { ...found, ...proxies, NO_PROXY: proxy.except.join(",") }
    : { ...found, ...proxies };
}

/** Measured: the environment with a torch for CPUs; the default model. */
export const SERVER_BYTES = 1.2e9;
export const MODEL_BYTES = 0.5e9;

type Free = (folder: string) => Promise<number>;

/** Throws where a folder's disk has too little room, before anything is fetched. */
export async function checkRoom(folder: string, needed: number, free: Free = freeBytes) {
  const found = await free(nearest(folder)).catch(() => undefined); // some file systems do not say
  if (found !== undefined && found < needed) {
    throw new Error(
      `the disk of ${folder} has only ${bytes(found)} free; about ${bytes(needed)} are needed`,
    );
  }
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The folder, or the nearest one above it that is there. */
function nearest(folder: string): string {
  const above = dirname(folder);
  return existsSync(folder) || above === folder ? folder : nearest(above);
}
