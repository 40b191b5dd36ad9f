// What "Why this suggestion?" shows: the suggestion, then the definitions and lines of other files
// that it drew on, strongest first, and the share that comes from none. Knows no editor.

import { percent, plural, words } from "./numbers";
import type { Definition, Explanation, Source } from "./protocol";
import { advice } from "./reasons";

const LEAST_SHARE = 0.005;
const LINE_END = /\r\n|\r|\n/;

export type Reason = Definition | Source;

/** A row of the view. */
export type Row =
  | { kind: "suggestion"; text: string }
  | { kind: "reason"; reason: Reason }
  | { kind: "own"; share: number };

/** What a row says. */
export interface Item {
  label: string;
  description: string;
  /** Code for the tooltip. */
  code: string;
  /** What the tooltip says above the code. */
  about: string;
}

/** What is said above the rows. */
export function heading(explanation: Explanation | null, isStale = false): string {
  if (isStale) return "This is about an earlier suggestion. Ask again for the last one.";
  if (explanation === null) return "Nothing was suggested yet.";
  if (explanation.reason !== null) return `No suggestion: ${advice(explanation.reason)}.`;
  return reasons(explanation).length === 0
    ? "The suggestion drew on no other file."
    : "The suggestion drew on these lines of other files, strongest first.";
}

/** All rows, in their order. */
export function rows(explanation: Explanation | null): Row[] {
  if (explanation === null) return [];
  const { text, ownShare } = explanation;
  return [
    ...(text ? [{ kind: "suggestion", text } as const] : []),
    ...reasons(explanation).map((reason) => ({ kind: "reason", reason }) as const),
    ...(isKnown(ownShare) ? [{ kind: "own", share: ownShare } as const] : []),
  ];
}

/**
 * What was drawn on, strongest first; among what has no known share, definitions that the
 * suggestion names come before the others. What rounding makes nothing of is left out.
 */
export function reasons(explanation: Explanation | null): Reason[] {
  if (explanation === null) return [];
  const drawn: Reason[] = explanation.sources.filter(({ mass }) => mass >= LEAST_SHARE);
  return [...explanation.definitions, ...drawn].sort((a, b) => weight(b) - weight(a));
}

/** Shares are 0 to 1; a definition that is named and of no known share comes before all. */
function weight(reason: Reason): number {
  const share = shareOf(reason);
  if (share !== undefined) return share;
  return "is_named" in reason && reason.is_named ? 2 : -1;
}

export function shareOf(reason: Reason): number | undefined {
  const share = "mass" in reason ? reason.mass : reason.share;
  return isKnown(share) ? share : undefined;
}

function isKnown(share: number | null | undefined): share is number {
  return share !== null && share !== undefined;
}

/** The row of the suggestion itself. */
export function suggestionItem(text: string): Item {
  const lines = text.split(LINE_END);
  const first = lines.find((line) => /\S/.test(line))?.trim() ?? "";
  const description = lines.length > 1 ? plural(lines.length, "line") : "";
  return { label: `“${first}”`, description, code: text, about: "The suggestion" };
}

export function ownItem(share: number): Item {
  const label = `The model itself and this file: ${percent(share)}`;
  const about = "What the model knows by itself, and the text of the file that you edit.";
  return { label, description: "", code: "", about };
}

/** What a reason says; the name of its file comes first, so that no other text pushes it out. */
export function reasonItem(reason: Reason, fileText: string | undefined): Item {
  const { path, first_line: first, last_line: last } = reason;
  const code = fileText?.split(LINE_END).slice(first - 1, last) ?? [];
  const slash = path.lastIndexOf("/");
  const [folder, file] = [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)];
  const share = shareOf(reason);
  const shown = "name" in reason ? reason.name : code.find((line) => /\w/.test(line))?.trim();
  return {
    label: `${file}:${first}${share === undefined ? "" : `  ${percent(share)}`}`,
    description: [shown, folder].filter(Boolean).join("  ·  "),
    code: code.join("\n"),
    about: about(reason, `${path}:${first === last ? first : `${first}-${last}`}`),
  };
}

function about(reason: Reason, place: string): string {
  if (!("reason" in reason)) return place;
  const named = reason.is_named ? ", named in the suggestion" : "";
  return `${place}, shown to the model: ${words(reason.reason)}${named}`;
}
