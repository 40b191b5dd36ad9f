// What "Why this suggestion?" shows: what the model was shown of other files, and the lines that
// it drew on, strongest first. Knows no editor.

import { percent, words } from "./numbers";
import type { Definition, Explanation, Source } from "./protocol";

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
  if (explanation.definitions.length > 0)
    return "The model was shown these definitions; those that the suggestion names stand first.";
  return explanation.sources.length === 0
    ? "The last suggestion drew on nothing in memory."
    : "The last suggestion drew on these lines, strongest first.";
}

/** Everything in the order in which it explains: what is named, what was drawn on, the rest. */
export function reasons(explanation: Explanation | null): (Definition | Source)[] {
  if (explanation === null) return [];
  const named = explanation.definitions.filter((one) => one.is_named);
  const others = explanation.definitions.filter((one) => !one.is_named);
  return [...named, ...byMass(explanation.sources), ...others];
}

/** One definition, with its lines from the file's text. */
export function definitionItem(definition: Definition, fileText: string | undefined): SourceItem {
  const { first_line: first, last_line: last, path } = definition;
  const mark = definition.is_named ? "named  " : "";
  return {
    label: `${mark}${definition.name}`,
    description: `${path}:${first}  ${definition.reason}`,
    text: linesOf(fileText, first, last).join("\n"),
  };
}

function linesOf(fileText: string | undefined, first: number, last: number): string[] {
  return fileText?.split(/\r\n|\r|\n/).slice(first - 1, last) ?? [];
}

/** Sources, strongest first, without those that rounding makes nothing. */
export function byMass(sources: readonly Source[]): Source[] {
  return sources.filter(({ mass }) => mass >= LEAST_MASS).sort((a, b) => b.mass - a.mass);
}

/** One source, with its lines from the file's text; without them where it is not to be read. */
export function sourceItem(source: Source, fileText: string | undefined): SourceItem {
  const { first_line: first, last_line: last, path } = source;
  const lines = linesOf(fileText, first, last);
  const where = `${path}:${first === last ? first : `${first}-${last}`}`;
  const code = lines.find((line) => /\w/.test(line))?.trim() ?? "";
  return {
    label: `${percent(source.mass)}  ${code}`.trimEnd(),
    description: where,
    text: lines.join("\n"),
  };
}
