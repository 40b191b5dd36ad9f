// What "Why this suggestion?" shows: source lines, strongest first. Knows no editor.

import { percent, words } from "./numbers";
import type { Explanation, Source } from "./protocol";

export interface SourceItem {
  /** The first line with code among the source's lines. */
  label: string;
  description: string;
  /** All lines, for the tooltip. */
  text: string;
}

/** What is said above the list. */
export function heading(explanation: Explanation | null): string {
  if (explanation === null) return "Nothing was suggested yet.";
  if (explanation.reason !== null) return `No suggestion: ${words(explanation.reason)}.`;
  return explanation.sources.length === 0
    ? "The last suggestion drew on nothing in memory."
    : "The last suggestion drew on these lines, strongest first.";
}

export function byMass(sources: readonly Source[]): Source[] {
  return [...sources].sort((a, b) => b.mass - a.mass);
}

/** One source, with its lines from the file's text; without them where it is not to be read. */
export function sourceItem(source: Source, fileText: string | undefined): SourceItem {
  const { first_line: first, last_line: last, path } = source;
  const lines = fileText?.split(/\r\n|\r|\n/).slice(first - 1, last) ?? [];
  const where = `${path}:${first === last ? first : `${first}-${last}`}`;
  return {
    label: lines.find((line) => /\w/.test(line))?.trim() ?? where,
    description: `${percent(source.mass)}  ${where}`,
    text: lines.join("\n"),
  };
}
