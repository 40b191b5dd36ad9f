// The item in the status bar; what it says is decided in status.ts.

import * as vscode from "vscode";
import { type Languages, nameOf } from "./languages";
import { plainMarkdown } from "./plainMarkdown";
import { type Condition, present, type Surroundings } from "./status";

const COLOURS = {
  none: undefined,
  warning: new vscode.ThemeColor("statusBarItem.warningBackground"),
  error: new vscode.ThemeColor("statusBarItem.errorBackground"),
};

export function createStatusItem(): vscode.StatusBarItem {
  const id = "longllama-code.status";
  const item = vscode.window.createStatusBarItem(id, vscode.StatusBarAlignment.Right, 100);
  item.name = "LongLLaMA";
  item.command = "longllama-code.menu";
  item.show();
  return item;
}

export function showCondition(item: vscode.StatusBarItem, condition: Condition): void {
  const { text, detail, severity } = present(condition, surroundings());
  item.text = text;
  item.tooltip = new vscode.MarkdownString(plainMarkdown(detail));
  item.accessibilityInformation = { label: `LongLLaMA, ${detail}`, role: "button" };
  item.backgroundColor = COLOURS[severity];
}

/** What the item and its menu depend on besides the server. */
export function surroundings(): Surroundings {
  const settings = vscode.workspace.getConfiguration("longllama");
  const id = currentLanguage();
  return {
    ...(id !== undefined && { language: { id, name: languageName(id) } }),
    languages: settings.get<Languages>("enableLanguages", {}),
    isOn: settings.get("enable", true),
    hasFolder: (vscode.workspace.workspaceFolders ?? []).length > 0,
  };
}

export function currentLanguage(): string | undefined {
  return vscode.window.activeTextEditor?.document.languageId;
}

const names = new Map<string, string>();

/** A language's name; asked for at each change of the status, so found once. */
function languageName(id: string): string {
  const known = names.get(id);
  if (known !== undefined) return known;
  const name = nameOf(
    id,
    vscode.extensions.all.map(({ packageJSON }) => packageJSON),
  );
  names.set(id, name);
  return name;
}
