// The commands of the palette, the menu and the views.

import * as vscode from "vscode";
import type { Connection } from "./connection";
import { toggled } from "./languages";
import type { Launcher } from "./launcher";
import { choices } from "./menu";
import { DIAGNOSE, type Diagnosis } from "./protocol";
import { change } from "./settings";
import type { SourcesView } from "./sourcesView";
import { currentLanguage, enabledLanguages } from "./statusItem";

export interface Parts {
  connection: Connection;
  launcher: Launcher;
  sources: SourcesView;
  log: vscode.LogOutputChannel;
}

export function registerCommands(parts: Parts): vscode.Disposable {
  const { connection, launcher, sources, log } = parts;
  const commands: Record<string, () => unknown> = {
    menu: () => showMenu(connection),
    explain: () => sources.explain(),
    peekSources: () => sources.peek(),
    showMemory: () => vscode.commands.executeCommand("longllama-code.memory.focus"),
    toggle,
    toggleLanguage,
    reindex: () => connection.execute("longllama.reindex"),
    pause: () => connection.execute("longllama.pauseIndexing"),
    resume: () => connection.execute("longllama.resumeIndexing"),
    clear: () => connection.execute("longllama.clearMemory"),
    clearStore: () => connection.execute("longllama.clearStore"),
    diagnose: () => diagnose(connection),
    fetchModel: () => launcher.fetchModel(),
    installServer: () => launcher.install(),
    restart: () => launcher.restart(),
    showLog: () => log.show(),
  };
  const register = ([name, run]: [string, () => unknown]) =>
    vscode.commands.registerCommand(`longllama-code.${name}`, run);
  return vscode.Disposable.from(...Object.entries(commands).map(register));
}

async function showMenu(connection: Connection): Promise<void> {
  const items = choices(connection.condition, currentLanguage());
  const title = `LongLLaMA: ${connection.condition.message}`;
  const choice = await vscode.window.showQuickPick(items, { title });
  if (choice !== undefined) await vscode.commands.executeCommand(choice.command);
}

async function toggle(): Promise<void> {
  const isOn = vscode.workspace.getConfiguration("longllama").get("enable", true);
  await change("enable", !isOn);
}

async function toggleLanguage(): Promise<void> {
  const language = currentLanguage();
  if (language === undefined) {
    void vscode.window.showWarningMessage("LongLLaMA: open a file of the language first.");
    return;
  }
  await change("enableLanguages", toggled(enabledLanguages(), language));
}

async function diagnose(connection: Connection): Promise<void> {
  const found = await connection.ask<Diagnosis>(DIAGNOSE);
  if (found === undefined) return;
  const document = await vscode.workspace.openTextDocument({ content: found.text });
  await vscode.window.showTextDocument(document);
}
