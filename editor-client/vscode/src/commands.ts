// The commands of the palette, the menu and the views.

import * as vscode from "vscode";
import { clearMemory, clearStore } from "./clearCommands";
import type { Connection } from "./connection";
import type { Launcher } from "./launcher";
import { choices } from "./menu";
import { change, openSettings, turnLanguage } from "./settings";
import { snoozeChoices } from "./snooze";
import type { SourcesView } from "./sourcesView";
import type { StatisticsView } from "./statisticsView";
import { isOnFor } from "./status";
import { currentLanguage, surroundings } from "./statusItem";

export interface Parts {
  connection: Connection;
  launcher: Launcher;
  sources: SourcesView;
  statistics: StatisticsView;
  log: vscode.LogOutputChannel;
}

export function registerCommands(parts: Parts): vscode.Disposable {
  const { connection, launcher, sources, statistics, log } = parts;
  const commands: Record<string, (argument?: unknown) => unknown> = {
    menu: () => showMenu(connection),
    explain: () => sources.explain(),
    peekSources: () => sources.peek(),
    snooze: (minutes) => snooze(connection, minutes),
    showStatistics: () => statistics.show(),
    clearStatistics: () => statistics.clear(),
    showMemory: () => vscode.commands.executeCommand("longllama-code.memory.focus"),
    toggle,
    toggleLanguage: () => toggleLanguage(connection),
    openSettings,
    reindex: () => connection.execute("longllama.reindex"),
    pause: () => connection.execute("longllama.pauseIndexing"),
    resume: () => connection.execute("longllama.resumeIndexing"),
    clear: () => clearMemory(connection),
    clearStore: () => clearStore(connection),
    restart: () => launcher.restart(),
    showLog: () => log.show(),
  };
  const register = ([name, run]: [string, (argument?: unknown) => unknown]) =>
    vscode.commands.registerCommand(`longllama-code.${name}`, run);
  return vscode.Disposable.from(...Object.entries(commands).map(register));
}

async function showMenu(connection: Connection): Promise<void> {
  const items = choices(connection.condition, surroundings());
  const title = `LongLLaMA: ${connection.condition.message}`;
  const choice = await vscode.window.showQuickPick(items, { title });
  if (choice === undefined) return;
  await vscode.commands.executeCommand(choice.command, ...(choice.arguments ?? []));
}

/** Be silent while the user types, for so many minutes; asked for, where none are given. */
async function snooze(connection: Connection, given: unknown): Promise<void> {
  const title = "LongLLaMA: show no suggestions while typing for";
  const minutes =
    typeof given === "number"
      ? given
      : (await vscode.window.showQuickPick(snoozeChoices(connection.condition), { title }))
          ?.minutes;
  if (minutes !== undefined) await connection.execute("longllama.snooze", minutes);
}

async function toggle(): Promise<void> {
  const isOn = vscode.workspace.getConfiguration("longllama").get("enable", true);
  await change("enable", !isOn);
}

async function toggleLanguage({ condition }: Connection): Promise<void> {
  const language = currentLanguage();
  if (language === undefined) {
    void vscode.window.showWarningMessage("LongLLaMA: open a file of the language first.");
    return;
  }
  await turnLanguage(language, !isOnFor(condition, surroundings(), language));
}
