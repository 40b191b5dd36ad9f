// What the status bar item offers, in the condition that the server is in. Knows no editor.

import { minutesLeft } from "./snooze";
import {
  type Condition,
  ignoredSettings,
  isOn,
  isOnFor,
  isRunning,
  lackedModel,
  type Surroundings,
} from "./status";

export interface Choice {
  label: string;
  /** A second line. */
  detail?: string;
  command: string;
  arguments?: unknown[];
}

const PREFIX = "longllama-code.";

export function choices(condition: Condition, around: Surroundings): Choice[] {
  return [
    ...remedies(condition, around),
    ...questions(condition),
    ...work(condition),
    ...toggles(condition, around),
    ...always(condition),
  ];
}

function remedies(condition: Condition, { hasFolder }: Surroundings): Choice[] {
  const settings = ignoredSettings(condition).map(correction);
  const lacked = lackedModel(condition);
  if (lacked !== undefined) {
    const fetch = choice("cloud-download", `Fetch the model ${lacked}`, "fetchModel");
    return [fetch, anotherModel(), ...settings];
  }
  switch (condition.phase) {
    case "absent":
      return [choice("cloud-download", "Install the server", "installServer"), path()];
    case "installing":
      return [choice("close", "Cancel installing the server", "cancelInstall")];
    case "stopped":
      return [
        choice("debug-restart", "Restart the server", "restart"),
        choice("tools", "Repair the server", "repairServer"),
        path(),
      ];
    case "failed":
      return [anotherModel(), ...settings];
  }
  return [...settings, ...(hasFolder ? [] : [openFolder()])];
}

function anotherModel(): Choice {
  return choice("symbol-misc", "Choose another model", "chooseModel");
}

function path(): Choice {
  return choice("settings-gear", "Set the path of a server", "setPath");
}

function correction({ key, message }: { key: string; message: string }): Choice {
  const label = `Correct the setting ${key}`;
  return { ...choice("warning", label, "openSettings"), detail: message, arguments: [key] };
}

function openFolder(): Choice {
  const command = "workbench.action.files.openFolder";
  return { label: "$(folder-opened) Open a folder", command };
}

function questions(condition: Condition): Choice[] {
  if (!isRunning(condition) || condition.phase === "off") return [];
  return [
    choice("question", "Why this suggestion?", "explain"),
    choice("database", "Show memory", "showMemory"),
    choice("graph", "Show statistics", "showStatistics"),
  ];
}

function work(condition: Condition): Choice[] {
  switch (condition.phase) {
    case "indexing":
      return [choice("debug-pause", "Pause indexing", "pause")];
    case "paused":
      return [choice("debug-continue", "Resume indexing", "resume")];
    case "ready":
      return [
        choice("refresh", "Reindex the workspace", "reindex"),
        choice("clear-all", "Clear memory", "clear"),
      ];
    default:
      return [];
  }
}

/** Each says what it would do now, and so how it is. */
function toggles(condition: Condition, around: Surroundings): Choice[] {
  const { language } = around;
  if (!isOn(condition, around)) return [choice("play", "Turn suggestions on", "toggle")];
  const all = choice("circle-slash", "Turn suggestions off", "toggle");
  const quiet = snoozes(condition);
  if (language === undefined) return [...quiet, all];
  const [icon, word] = isOnFor(condition, around, language.id)
    ? ["circle-slash", "off"]
    : ["play", "on"];
  return [
    ...quiet,
    all,
    choice(icon, `Turn suggestions ${word} for ${language.name}`, "toggleLanguage"),
  ];
}

function snoozes(condition: Condition): Choice[] {
  if (!isRunning(condition)) return [];
  const left = minutesLeft(condition);
  if (left !== undefined) {
    const end = choice("bell", `Show suggestions again (snoozed, ${left} min left)`, "snooze");
    return [{ ...end, arguments: [0] }];
  }
  return [choice("bell-slash", "Snooze suggestions for some minutes", "snooze")];
}

function always(condition: Condition): Choice[] {
  const isOffered = condition.phase === "stopped";
  return [
    choice("gear", "Open the settings", "openSettings"),
    choice("pulse", "Diagnose", "diagnose"),
    ...(isOffered ? [] : [choice("debug-restart", "Restart the server", "restart")]),
    choice("output", "Show the log", "showLog"),
  ];
}

function choice(icon: string, label: string, command: string): Choice {
  return { label: `$(${icon}) ${label}`, command: `${PREFIX}${command}` };
}
