// From a file's name in memory back to its path. Knows no editor.

import { join } from "node:path";

export interface Folder {
  name: string;
  path: string;
}

/** The server names files relative to their folder, with its name in front if there are several. */
export function pathOf(name: string, folders: readonly Folder[]): string {
  const [only] = folders;
  if (folders.length === 1 && only !== undefined) return join(only.path, name);
  const folder = folders.find((one) => name.startsWith(`${one.name}/`));
  return folder === undefined ? name : join(folder.path, name.slice(folder.name.length + 1));
}
