// The memory view's tree: what is in memory, waiting, or left out and why, by folder.
// Knows no editor.

import { bytes, count, plural, sentence, words } from "./numbers";
import type { MemoryFile } from "./protocol";

export interface MemoryNode {
  label: string;
  description: string;
  /** All of it in words: there is little room in a row. */
  tooltip: string;
  /** The path in memory of a file; absent for what only groups files. */
  path?: string;
  icon: string;
  children: MemoryNode[];
}

const STATES: [MemoryFile["state"], string, string][] = [
  ["in_memory", "In memory", "database"],
  ["waiting", "Waiting", "watch"],
  ["left_out", "Left out", "exclude"],
];

export function tree(files: readonly MemoryFile[]): MemoryNode[] {
  return STATES.flatMap(([state, label, icon]) => {
    const group = files.filter((file) => file.state === state);
    if (group.length === 0) return [];
    return [{ ...summed(label, group), icon, children: folder(group, "") }];
  });
}

/** The nodes of a folder, folders first. */
function folder(files: readonly MemoryFile[], prefix: string): MemoryNode[] {
  const isDirect = (file: MemoryFile) => !file.path.includes("/", prefix.length);
  const below = groupBy(
    files.filter((file) => !isDirect(file)),
    (file) => file.path.slice(prefix.length).split("/", 1)[0] ?? "",
  );
  const folders = [...below].map(([name, group]) => folderNode(group, prefix, name));
  const leaves = files.filter(isDirect).map((file) => leaf(file, prefix));
  const byLabel = (a: MemoryNode, b: MemoryNode) => a.label.localeCompare(b.label);
  return [...folders.sort(byLabel), ...leaves.sort(byLabel)];
}

/** A folder; one that holds nothing but a folder is drawn together with it. */
function folderNode(files: readonly MemoryFile[], prefix: string, name: string): MemoryNode {
  const children = folder(files, `${prefix}${name}/`);
  const [only] = children;
  if (children.length === 1 && only !== undefined && only.path === undefined) {
    return { ...only, label: `${name}/${only.label}` };
  }
  return { ...summed(name, files), icon: "folder", children };
}

function leaf(file: MemoryFile, prefix: string): MemoryNode {
  const { path, why } = file;
  const description = about(file);
  return {
    label: path.slice(prefix.length),
    description,
    tooltip: [path, sentence(why ? why : description)].join("\n\n"),
    icon: "file",
    path,
    children: [],
  };
}

function about(file: MemoryFile): string {
  const size = bytes(file.bytes);
  if (file.state === "in_memory") return `${plural(file.tokens, "token")}, ${size}`;
  return file.reason === null ? size : `${words(file.reason)}, ${size}`;
}

function summed(label: string, files: readonly MemoryFile[]) {
  const description = sums(files);
  return { label, description, tooltip: `${label}: ${description}` };
}

function sums(files: readonly MemoryFile[]): string {
  const sum = (value: (file: MemoryFile) => number) =>
    files.reduce((total, file) => total + value(file), 0);
  const tokens = sum((file) => file.tokens);
  const inTokens = tokens > 0 ? `, ${count(tokens)} tokens` : "";
  return `${plural(files.length, "file")}${inTokens}, ${bytes(sum((file) => file.bytes))}`;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}
