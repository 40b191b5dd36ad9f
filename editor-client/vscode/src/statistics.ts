// The statistics view's tree, and what is asked and said about clearing. Knows no editor.

import type { Question } from "./clearing";
import { count, percent, plural } from "./numbers";
import type { Cleared, Counts, Statistics } from "./protocol";

export interface StatisticsNode {
  label: string;
  description: string;
  icon: string;
  children: StatisticsNode[];
}

const BAR_CHARS = 6;
const MAX_DAYS = 14;

export const CLEAR_STATISTICS: Question = {
  message: "Clear the statistics of all windows?",
  detail:
    "What was counted of suggestions is removed from this machine. It was never sent anywhere. " +
    "Counting goes on.",
  answers: ["Clear"],
};

export function cleared({ n_removed: removed }: Cleared): string {
  return removed === null
    ? "The statistics cannot be cleared; the status says why."
    : `${plural(removed, "suggestion")} that were counted are removed.`;
}

export function statisticsTree({ enabled, total, ...groups }: Statistics): StatisticsNode[] {
  const off = enabled
    ? []
    : [node("Counting is off", "longllama.statistics.enable", "circle-slash")];
  if (total.shown === 0) return [...off, node("No suggestion was counted yet", "", "graph")];
  const days = groups.days.slice(-MAX_DAYS).reverse();
  return [
    ...off,
    node("All suggestions", shares(total), "graph", details(total)),
    group("By language", "code", groups.languages),
    group("By length in characters", "symbol-ruler", groups.lengths),
    group("By time to the answer", "watch", groups.latencies),
    group("By client", "plug", groups.clients),
    group("By day", "calendar", days),
  ];
}

function group(label: string, icon: string, members: readonly Counts[]): StatisticsNode {
  const children = members.map((one) =>
    node(one.name ?? "", shares(one, bar(one)), "dash", details(one)),
  );
  return node(label, "", icon, children);
}

/** Accepted suggestions as a share of a bar. */
function bar({ accepted, shown }: Counts): string {
  const filled = Math.round((BAR_CHARS * accepted) / shown);
  return "█".repeat(filled) + "░".repeat(BAR_CHARS - filled);
}

/** The share comes first, so that no bar pushes it out of a narrow row. */
function shares({ shown, accepted }: Counts, drawn = ""): string {
  const share = [percent(accepted / shown), drawn].filter(Boolean).join(" ");
  return `${share} accepted of ${count(shown)} shown`;
}

function details(counts: Counts): StatisticsNode[] {
  const outcomes: [string, number, string][] = [
    ["accepted", counts.accepted, "check"],
    ["accepted in part", counts.partly_accepted, "check"],
    ["typed out", counts.typed_out, "keyboard"],
    ["typed over", counts.typed_over, "close"],
    ["left", counts.left + counts.open, "circle-outline"],
  ];
  return [
    ...outcomes.map(([label, value, icon]) =>
      node(label, `${count(value)} (${percent(value / counts.shown)})`, icon),
    ),
    ...later("still there after 30 s", counts.after_30_s),
    ...later("still there after 5 min", counts.after_5_min),
  ];
}

function later(label: string, { there, gone }: Counts["after_30_s"]): StatisticsNode[] {
  const known = there + gone;
  if (known === 0) return [];
  return [node(label, `${count(there)} of ${count(known)} (${percent(there / known)})`, "history")];
}

function node(
  label: string,
  description: string,
  icon: string,
  children: StatisticsNode[] = [],
): StatisticsNode {
  return { label, description, icon, children };
}
