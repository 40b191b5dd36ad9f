// What the status bar item offers, in the condition that the server is in. Knows no editor.

import { type Condition, isRunning, lackedModel } from "./status";

export interface Choice {
  label: string;
  command: string;
}

export function choices(condition: Condition, language: string | undefined): Choice[] {
  return [...remedies(condition), ...questions(condition), ...work(condition), ...always(language)];
}

function remedies(condition: Condition): Choice[] {
  const lacked = lackedModel(condition);
  if (lacked !== undefined) {
    return [choice("cloud-download", `Fetch the model ${lacked}`, "fetchModel")];
  }
  const isStopped = condition.phase === "stopped";
  return isStopped ? [choice("cloud-download", "Install the server", "installServer")] : [];
}

function questions(condition: Condition): Choice[] {
  if (!isRunning(condition) || condition.phase === "off") return [];
  return [
    choice("question", "Why this suggestion?", "explain"),
    choice("database", "Show memory", "showMemory"),
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

function always(language: string | undefined): Choice[] {
  const ofLanguage = choice("code", `Turn on or off for ${language}`, "toggleLanguage");
  return [
    choice("circle-slash", "Turn on or off", "toggle"),
    ...(language === undefined ? [] : [ofLanguage]),
    choice("pulse", "Diagnose", "diagnose"),
    choice("debug-restart", "Restart the server", "restart"),
    choice("output", "Show the log", "showLog"),
  ];
}

function choice(icon: string, label: string, command: string): Choice {
  return { label: `$(${icon}) ${label}`, command: `longllama-code.${command}` };
}
