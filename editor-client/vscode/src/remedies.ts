// What helps against a failure: a button of its message, and an entry of the menu. Knows no editor.

import { type Condition, isRunning, lackedModel } from "./status";

export interface Remedy {
  /** On a button. */
  label: string;
  /** Without the extension's name. */
  command: string;
  /** In the menu. */
  icon: string;
}

export const FETCH_MODEL = {
  label: "Fetch the Model",
  command: "fetchModel",
  icon: "cloud-download",
};
export const CHOOSE_MODEL = {
  label: "Choose Another",
  command: "chooseModel",
  icon: "symbol-misc",
};
export const RESTART = { label: "Retry", command: "restart", icon: "debug-restart" };
export const RESUME = { label: "Resume", command: "resume", icon: "debug-continue" };
export const SHOW_LOG = { label: "Show Log", command: "showLog", icon: "output" };
export const INSTALL = { label: "Install", command: "installServer", icon: "cloud-download" };
export const UPDATE = { label: "Update", command: "updateServer", icon: "cloud-download" };
export const REPAIR = { label: "Repair", command: "repairServer", icon: "tools" };
export const SET_PATH = { label: "Set a Path", command: "setPath", icon: "settings-gear" };
export const SET_PROXY = { label: "Set Proxy", command: "setProxy", icon: "globe" };
export const GET_UV = { label: "Get uv", command: "getUv", icon: "link-external" };
export const COPY_DIAGNOSIS = { label: "Copy Diagnosis", command: "copyDiagnosis", icon: "copy" };

/** The same once more. */
export function retry(remedy: Remedy): Remedy {
  return { ...remedy, label: "Retry" };
}

/** The engine tells of torch and of libraries that cannot be loaded by these words. */
const BROKEN = /torch|import|module|library|ended with|cannot be started/i;
const MODEL = /model|checkpoint|gguf|weights|config\.json/i;

/** For a server that runs, but cannot suggest anything. */
export function remediesOf(condition: Condition, isOwn: boolean): Remedy[] {
  if (!isRunning(condition) || condition.phase !== "failed") return [];
  if (lackedModel(condition) !== undefined) return [FETCH_MODEL, CHOOSE_MODEL, SHOW_LOG];
  const { message } = condition;
  if (MODEL.test(message)) return [CHOOSE_MODEL, RESTART, SHOW_LOG];
  return isOwn && BROKEN.test(message) ? [REPAIR, RESTART, SHOW_LOG] : [RESTART, SHOW_LOG];
}

/** What solves a failure that a new environment of the server does not. */
export function remediesBesideRepair(condition: Condition): Remedy[] {
  const general = [RESTART, SHOW_LOG];
  return remediesOf(condition, false).filter((remedy) => !general.includes(remedy));
}

/** For what was asked of a server that does not run. */
export function remediesOfNone({ phase }: Condition): Remedy[] {
  if (phase === "absent") return [INSTALL, SET_PATH];
  const isComing = phase === "starting" || phase === "installing";
  return isComing ? [SHOW_LOG] : [RESTART, SHOW_LOG];
}

/**
 * The failure without the shell's commands, whose programs are not on the PATH of who reads this, and
 * without lists.
 */
export function inWords(condition: Condition): string {
  const lacked = lackedModel(condition);
  if (lacked !== undefined) return `the model ${lacked} is not on this machine.`;
  return condition.message
    .replace(/ \(`longllama[\w-]* [^`]*`[^)]*\)/g, "")
    .replace(/ \([^()]*owner\/name[^()]*\)/, ""); // all models by name, which a button lists
}
