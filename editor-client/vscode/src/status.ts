// What the status bar says, from what is known of the server. Knows no editor.

import { isEnabled, type Languages } from "./languages";
import { compact, count, percent, plural, sentence } from "./numbers";
import type { Files, Status } from "./protocol";
import { advice } from "./reasons";
import { minutesLeft } from "./snooze";

/** The server from outside, while it does not speak for itself; absent: it is not installed. */
export interface Outside {
  phase: "starting" | "installing" | "absent" | "stopped";
  message: string;
}

export type Condition = Outside | Status;

/** The window that the item is shown in. */
export interface Surroundings {
  /** Language of the active editor. */
  language?: { id: string; name: string };
  /** As the editor's settings have them; a server that says so knows better. */
  languages: Languages;
  /** The setting longllama.enable. */
  isOn: boolean;
  hasFolder: boolean;
}

export interface Presentation {
  text: string;
  /** The same in words, for the tooltip and for screen readers. */
  detail: string;
  severity: "none" | "warning" | "error";
}

const NAME = "LongLLaMA";
const NO_FOLDER =
  "No folder is open, so suggestions come from the open files alone. Open a folder to have them " +
  "from all of its files.";

const LOADING =
  "The first time this can take a minute: what runs the model is compiled for this processor.";

export function present(condition: Condition, around: Surroundings): Presentation {
  const off = languageThatIsOff(condition, around);
  return {
    text: off === undefined ? text(condition, around) : textOff(condition, off),
    detail: [...offFor(off), ...detail(condition, around)].join("\n\n"),
    severity: severity(condition),
  };
}

export function isRunning(condition: Condition): condition is Status {
  return "files" in condition;
}

/** Whether suggestions are made at all, as the server says, or else the settings. */
export function isOn(condition: Condition, around: Surroundings): boolean {
  return isRunning(condition) ? condition.phase !== "off" : around.isOn;
}

/** Whether suggestions are made in a language, as the server says, or else the settings. */
export function isOnFor(condition: Condition, around: Surroundings, language: string): boolean {
  const told = isRunning(condition) ? condition.languages : undefined;
  return isEnabled(told ?? around.languages, language);
}

/** Name of the active editor's language, if it is off while the server works otherwise. */
function languageThatIsOff(condition: Condition, around: Surroundings): string | undefined {
  const { language } = around;
  const works = ["indexing", "ready", "paused"].includes(condition.phase);
  if (language === undefined || !works) return undefined;
  return isOnFor(condition, around, language.id) ? undefined : language.name;
}

function textOff(condition: Condition, language: string): string {
  const off = `${NAME}: off for ${language}`;
  if (!isRunning(condition) || condition.phase !== "indexing" || readsAnEdit(condition))
    return `$(circle-slash) ${off}`;
  return `$(sync~spin) ${off}, ${reading(condition)}`;
}

function offFor(language: string | undefined): string[] {
  return language === undefined
    ? []
    : [`Suggestions are off for ${language}. A click opens the menu, which turns them on.`];
}

function text(condition: Condition, around: Surroundings): string {
  switch (condition.phase) {
    case "starting":
    case "loading":
      return `$(loading~spin) ${NAME}: loading`;
    case "installing":
      return `$(loading~spin) ${NAME}: installing`;
    case "absent":
      return `$(cloud-download) ${NAME}: set up`;
    case "indexing":
      if (readsAnEdit(condition)) return textReady(condition, around);
      return `$(sync~spin) ${NAME}: ${reading(condition)}`;
    case "ready":
      return textReady(condition, around);
    case "paused":
      return `$(debug-pause) ${NAME}: paused`;
    case "off":
      return `$(circle-slash) ${NAME}: off`;
    case "stopped":
    case "failed":
      return `$(error) ${NAME}: problem`;
  }
}

function textReady(status: Status, { hasFolder }: Surroundings): string {
  if (ignoredSettings(status).length > 0) return `$(warning) ${NAME}: check settings`;
  const left = minutesLeft(status);
  if (left !== undefined) return `$(bell-slash) ${NAME}: snoozed ${left} min`;
  if (!hasFolder) return `$(pass) ${NAME}: no folder`;
  const { tokens } = status.files;
  return `$(pass) ${NAME}${tokens > 0 ? ` ${compact(tokens)} tokens` : ": ready"}`;
}

/** Whether it reads no more than an edit changed, as it does at each pause: nothing to look at. */
function readsAnEdit({ phase, progress }: Status): boolean {
  return phase === "indexing" && progress === null; // older servers do not have it at all
}

/** How far reading is, by the work that is left, as the server has measured it. */
function reading({ progress, message }: Status): string {
  if (typeof progress === "number") return `reading ${percent(progress)}`;
  const told = message.match(/\b\d{1,3} %/)?.[0];
  return told === undefined ? "reading" : `reading ${told}`;
}

function detail(condition: Condition, { hasFolder }: Surroundings): string[] {
  if (!isRunning(condition)) return [sentence(condition.message)];
  const isIdle = condition.phase === "ready" || condition.phase === "indexing";
  return [
    !hasFolder && isIdle && minutesLeft(condition) === undefined
      ? NO_FOLDER
      : sentence(condition.message),
    ...(condition.phase === "loading" ? [LOADING] : []),
    ...ignoredSettings(condition).map(({ message }) => sentence(message)),
    ...held(condition.files),
    ...pace(condition),
    ...restarts(condition.engine_restarts),
    ...lastReason(condition.last_reason),
  ];
}

export function ignoredSettings(condition: Condition) {
  return (isRunning(condition) ? condition.ignored_settings : undefined) ?? [];
}

function held(files: Files): string[] {
  const waiting = files.waiting > 0 ? `, ${count(files.waiting)} waiting` : "";
  const leftOut = files.left_out > 0 ? `, ${count(files.left_out)} left out` : "";
  const total = files.in_memory + files.waiting + files.left_out;
  const inMemory = `${plural(files.in_memory, "file")} in memory`;
  return total > 0 ? [`${inMemory} (${plural(files.tokens, "token")})${waiting}${leftOut}`] : [];
}

/** The time that is left stands in the server's message. */
function pace({ tokens_per_second: speed }: Status): string[] {
  return speed === undefined || speed === null ? [] : [`${count(speed)} tokens a second`];
}

function restarts(times: number): string[] {
  return times > 0 ? [`The model's process was started again ${plural(times, "time")}.`] : [];
}

function lastReason(reason: string | null): string[] {
  return reason === null ? [] : [`The last request had no suggestion: ${advice(reason)}.`];
}

function severity(condition: Condition): Presentation["severity"] {
  if (condition.phase === "stopped" || condition.phase === "failed") return "error";
  const isWarning = isRunning(condition) && condition.kind === "Warning";
  return isWarning || ignoredSettings(condition).length > 0 ? "warning" : "none";
}

/** The model that the server cannot begin without, as it was never fetched. */
export function lackedModel(condition: Condition): string | undefined {
  if (condition.phase !== "failed") return undefined;
  return condition.message.match(/longllama pull (\w[\w.@/:-]*)/)?.[1];
}
