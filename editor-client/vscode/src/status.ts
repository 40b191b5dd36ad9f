// What the status bar says, from what is known of the server. Knows no editor.

import { isEnabled, type Languages } from "./languages";
import { compact, count, percent, plural, words } from "./numbers";
import type { Files, Status } from "./protocol";

/** The server from outside, while it does not speak for itself. */
export interface Outside {
  phase: "starting" | "installing" | "stopped";
  message: string;
}

export type Condition = Outside | Status;

export interface Presentation {
  text: string;
  /** The same in words, for the tooltip and for screen readers. */
  detail: string;
  severity: "none" | "warning" | "error";
}

const NAME = "LongLLaMA";

/**
 * @param language of the active editor
 * @param languages as the editor's settings have them; a server that says so knows better
 */
export function present(
  condition: Condition,
  language?: string,
  languages: Languages = {},
): Presentation {
  if (isRunning(condition) && condition.phase !== "off" && language !== undefined) {
    if (!isEnabled(condition.languages ?? languages, language)) return offFor(language);
  }
  return { text: text(condition), detail: detail(condition), severity: severity(condition) };
}

function offFor(language: string): Presentation {
  const detail = `off for ${language} by longllama.enableLanguages`;
  return { text: `$(circle-slash) ${NAME}: off`, detail, severity: "none" };
}

export function isRunning(condition: Condition): condition is Status {
  return "files" in condition;
}

function text(condition: Condition): string {
  switch (condition.phase) {
    case "starting":
    case "loading":
      return `$(loading~spin) ${NAME}: loading`;
    case "installing":
      return `$(loading~spin) ${NAME}: installing`;
    case "indexing":
      return `$(sync~spin) ${NAME} ${progress(condition.files)}`;
    case "ready":
      return `$(pass) ${NAME} ${compact(condition.files.tokens)} tokens`;
    case "paused":
      return `$(debug-pause) ${NAME}: paused`;
    case "off":
      return `$(circle-slash) ${NAME}: off`;
    case "stopped":
    case "failed":
      return `$(error) ${NAME}: problem`;
  }
}

function progress(files: Files): string {
  const total = files.in_memory + files.waiting;
  return `${percent(files.in_memory / Math.max(1, total))} (${files.in_memory}/${total} files)`;
}

function detail(condition: Condition): string {
  if (!isRunning(condition)) return condition.message;
  return [
    `${condition.phase}: ${condition.message}`,
    ...held(condition.files),
    ...pace(condition),
    ...restarts(condition.engine_restarts),
    ...lastReason(condition.last_reason),
  ].join("\n\n");
}

function held(files: Files): string[] {
  const waiting = files.waiting > 0 ? `, ${count(files.waiting)} waiting` : "";
  const leftOut = files.left_out > 0 ? `, ${count(files.left_out)} left out` : "";
  const total = files.in_memory + files.waiting + files.left_out;
  const inMemory = `${plural(files.in_memory, "file")} in memory`;
  return total > 0 ? [`${inMemory} (${plural(files.tokens, "token")})${waiting}${leftOut}`] : [];
}

function pace(status: Status): string[] {
  const { tokens_per_second: speed, seconds_left: left } = status;
  if (speed === undefined || speed === null) return [];
  const rest = left === undefined || left === null ? "" : `, about ${plural(left, "second")} left`;
  return [`${count(speed)} tokens a second${rest}`];
}

function restarts(times: number): string[] {
  return times > 0 ? [`The model's process was started again ${plural(times, "time")}.`] : [];
}

function lastReason(reason: string | null): string[] {
  return reason === null ? [] : [`Last request: no suggestion, ${words(reason)}.`];
}

function severity(condition: Condition): Presentation["severity"] {
  if (condition.phase === "stopped" || condition.phase === "failed") return "error";
  return isRunning(condition) && condition.kind === "Warning" ? "warning" : "none";
}

/** The model that the server cannot begin without, as it was never fetched. */
export function lackedModel(condition: Condition): string | undefined {
  if (condition.phase !== "failed") return undefined;
  return condition.message.match(/longllama pull (\w[\w.@/:-]*)/)?.[1];
}
