// What "Why this suggestion?" shows: source lines, strongest first. Knows no editor.

import { percent, words } from "./numbers";
import type { Explanation, Source } from "./protocol";

const LEAST_MASS = 0.005;

export interface SourceItem {
  /** The source's share, and the first line with code among its lines. */
  label: string;
  /** Its place. */
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

/** Sources, strongest first, without those that rounding makes nothing. */
export function byMass(sources: readonly Source[]): Source[] {
  return sources.filter(({ mass }) => mass >= LEAST_MASS).sort((a, b) => b.mass - a.mass);
}

/** One source, with its lines from the file's text; without them where it is not to be read. */
export function sourceItem(source: Source, fileText: string | undefined): SourceItem {
  const { first_line: first, last_line: last, path } = source;
  const lines = fileText?.split(/\r\n|\r|\n/).slice(first - 1, last) ?? [];
  const where = `${path}:${first === last ? first : `${first}-${last}`}`;
  const code = lines.find((line) => /\w/.test(line))?.trim() ?? "";
  return {
    label: `${percent(source.mass)}  ${code}`.trimEnd(),
    description: where,
    text: lines.join("\n"),
  };
}
